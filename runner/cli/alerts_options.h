#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::cli {

/// What `millrace alerts ...` was asked for; what cannot be understood has been refused as wrong use before.
struct AlertsOptions {
  std::string data = "millrace-data";
  std::string format = "text";
  std::string pipeline, stage, rule, key, state, since, until;  ///< which ones
  std::size_t limit = 50;
  std::string name;  ///< incident, dedup key, key, or silence
  std::string by, comment;
  std::string id, from, to, in = "0s", lasting;  ///< of a silence
  std::vector<std::string> labels;               ///< of a silence, each NAME=PATTERN
  bool all = false;
  bool once = false;  ///< of a silence: it ends with the alert

  bool json() const { return format == "json"; }
};

// The commands, one function each. An error is one of the work: status 1.

Result<void> list_alerts(const AlertsOptions& given);
Result<void> show_alert(const AlertsOptions& given);
Result<void> list_silences(const AlertsOptions& given);
Result<void> export_events(const AlertsOptions& given);

Result<void> acknowledge_alert(const AlertsOptions& given);
Result<void> comment_on_alert(const AlertsOptions& given);
Result<void> silence_alerts(const AlertsOptions& given);
Result<void> unsilence_alerts(const AlertsOptions& given);

/// A moment as people type it: how long ago (2h), as RFC 3339 has it, or milliseconds since the epoch.
Result<Time> parse_moment(std::string_view text, Time now);

/// Local time, to the second.
std::string local_time(std::int64_t ms);

}  // namespace millrace::cli
