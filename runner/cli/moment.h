#pragma once

#include <string>
#include <string_view>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::cli {

/// A point in time as a person types it: `-7d`, so long ago; `now`; `2026-03-01T12:30:00Z`, as RFC 3339 has it; `2026-03-01`,
/// the beginning of that day, UTC; milliseconds since the epoch.
Result<Time> moment_of(std::string_view text, Time now);

/// As RFC 3339 has it, UTC, with as many digits of a second as there are.
std::string shown(Time time);

}  // namespace millrace::cli
