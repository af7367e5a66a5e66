#pragma once

#include <string>
#include <string_view>

#include "plugins/alert/compile.h"
#include "plugins/alert/output.h"
#include "runner/stage/record.h"
#include "runner/store/history.h"

namespace millrace::alert {

/// What a stage says of its findings: the records that it emits and the rows that it keeps. Pure: from what happened to words.
class Telling {
 public:
  /// `compiled` must outlive it. `by_device`: keys are devices.
  Telling(const Compiled& compiled, std::string pipeline, std::string stage, bool by_device);

  struct Happening {
    const RulePlan& rule;
    std::string_view key;
    const Change& change;
    const Cause& cause;
    Micros now;
  };

  /// The transition as a record of kind alert, and as a row.
  void append_alert(Batch& batch, const Happening& happening) const;
  store::Event event(const Happening& happening) const;

  /// The window as a record of kind window.
  void append_window(Batch& batch, const RulePlan& rule, std::string_view key, const WindowRow& row) const;

  /// What led to the latest notices of an alert, kept for repeats.
  struct Notification {
    std::string id, incident, rule, key, level, type, message;
    State from = State::ok, to = State::firing;
    double value = null_value;
    bool quiet = false;
    Micros time = 0, now = 0;
    std::vector<std::string> firing, resolved;  ///< of a group
    config::Map<std::string> labels;
  };

  /// As a record of kind notification addressed to `link`.
  void append_notification(Batch& batch, const Notification& n, std::string_view link) const;

  std::string incident(const RulePlan& rule, std::string_view key, std::uint64_t opening) const;
  std::string message(const Happening& happening) const;
  std::string level_name(const RulePlan& rule, int level) const;
  config::Map<std::string> labels(const RulePlan& rule, std::string_view key, std::span<const Quote> quotes) const;
  /// Of a group: those labels that its alerts have in common.
  config::Map<std::string> labels(const RulePlan& rule, const GroupNotice& notice) const;
  const RuleText& text_of(const RulePlan& rule) const { return compiled_.texts[static_cast<std::size_t>(&rule - rules_)]; }
  void set_rules(const RulePlan* rules) { rules_ = rules; }

  const std::string& pipeline() const { return pipeline_; }
  const std::string& stage() const { return stage_; }

 private:
  std::string trouble_message(const Happening& happening) const;

  const Compiled& compiled_;
  std::string pipeline_, stage_;
  bool by_device_;
  const RulePlan* rules_ = nullptr;  ///< the Monitor's, in the order of the texts
};

/// The operand that the change is about; null if there is none.
double threshold_of(const RulePlan& rule, const Change& change, double value);

}  // namespace millrace::alert
