#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "plugins/alert/monitor.h"
#include "plugins/alert/telling.h"
#include "runner/stage/record.h"
#include "runner/store/history.h"

namespace millrace::alert {

// Rows of the history beside those of transitions, which are Telling's.

/// An alert as it stands.
store::State state_row(const Telling& telling, const Monitor& monitor, const RulePlan& rule, const std::string& key);

/// An event of an incident that is no change of its state: `reason` is what somebody has done about it.
struct Remark {
  const RulePlan& rule;
  std::string_view key;
  std::uint64_t opening = 0;
  std::string_view reason, by, comment, suppressed_by;
  Time at{};
};

/// Its row, still without its place among the alert's events.
store::Event remark_row(const Telling& telling, const Monitor& monitor, const Remark& remark);

/// What becomes of an alert whose rule is gone, or means something else now.
struct EndedAlert {
  store::Event event;
  store::State state;
};

/// `state` is what was kept of it, and `level` the one that it had.
EndedAlert ended_alert(const store::State& state, std::string level, bool removed, Time now);

/// The record that tells of such an end.
void append_ended(Batch& batch, const store::Event& event, Time now);

}  // namespace millrace::alert
