#pragma once

#include <span>
#include <string_view>

#include "plugins/alert/rule.h"

namespace millrace::alert {

/// What led to a change.
struct Cause {
  double value = null_value;
  const ClosedWindow* window = nullptr;  ///< null where a record was looked at
  std::span<const double> figures;       ///< one for each of the rule's aggregates, if it has any
  std::span<const Quote> quotes;         ///< of the key's latest record
};

/// A window as it is told of: figures in the order of the rule's aggregates, null where there is none.
struct WindowRow {
  const ClosedWindow& window;
  std::span<const double> figures;
  Micros fired_at;  ///< arrival clock
};

enum class Refusal { too_many_keys, waiting_room_full };

/// What goes wrong in a stage itself, each an alert of its own: its name is the alert's key.
enum class Trouble : std::uint8_t { too_many_keys, reorder_buffer_full, script_error };
inline constexpr std::size_t troubles = 3;
std::string_view name_of(Trouble trouble);

/// Where everything that a Monitor finds out goes, in order. Views hold during the call. Implementations must not call back.
class Output {
 public:
  virtual ~Output() = default;

  /// Whether records(), derived() and the windows of rules with a condition are wanted. Asked once.
  virtual bool traces() const { return false; }

  virtual void record(std::string_view /*key*/, Micros /*time*/, Micros /*arrival*/, const Admission&) {}
  virtual void derived(const RulePlan&, std::string_view /*key*/, Micros /*time*/, double /*value*/) {}

  virtual void dropped(Why) {}                                                     ///< a record, by the policy on time
  virtual void refused(std::string_view /*key*/, Refusal) {}                       ///< a record, by a bound
  virtual void failed(const RulePlan&, std::string_view /*key*/, const Error&) {}  ///< its formula, taken for null
  virtual void forgotten(std::string_view /*key*/) {}                              ///< a key that nothing is known of any more

  virtual void window(const RulePlan&, std::string_view key, const WindowRow&) = 0;
  virtual void change(const RulePlan&, std::string_view key, const Change&, const Cause&, Micros now) = 0;

  /// People are to be told; `last` and `cause` are of the latest change that concerns them.
  virtual void notice(const RulePlan&, std::string_view key, const Notice&, const Change& last, const Cause& cause,
                      Micros now) = 0;
  virtual void notice(const RulePlan&, const GroupNotice&, Micros now) = 0;
};

}  // namespace millrace::alert
