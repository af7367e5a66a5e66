#pragma once

#include <string>

#include "plugins/alert/output.h"
#include "plugins/alert/telling.h"
#include "runner/stage/trace.h"

namespace millrace::alert {

/// Tells a Trace everything that a Monitor finds out, in the members that tests/vectors/README.md describes.
class TraceRows final : public Output {
 public:
  TraceRows(Trace& trace, const Telling& telling) : trace_(trace), telling_(telling) {}

  bool traces() const override { return true; }
  void record(std::string_view key, Micros time, Micros arrival, const Admission& admission) override;
  void derived(const RulePlan& rule, std::string_view key, Micros time, double value) override;
  void window(const RulePlan& rule, std::string_view key, const WindowRow& row) override;
  void change(const RulePlan& rule, std::string_view key, const Change& change, const Cause& cause, Micros now) override;
  void notice(const RulePlan& rule, std::string_view key, const Notice& notice, const Change& last, const Cause& cause,
              Micros now) override;
  void notice(const RulePlan& rule, const GroupNotice& notice, Micros now) override;

 private:
  Value incident(Arena& arena, const RulePlan& rule, std::string_view key, std::uint64_t opening) const;

  Trace& trace_;
  const Telling& telling_;
};

}  // namespace millrace::alert
