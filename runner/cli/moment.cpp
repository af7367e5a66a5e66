#include "runner/cli/moment.h"

#include <fmt/chrono.h>

#include <charconv>

#include "runner/config/event_time.h"
#include "runner/config/values.h"

namespace millrace::cli {

Result<Time> moment_of(std::string_view text, Time now) {
  if (text == "now") return now;
  if (auto time = config::parse_rfc3339(text)) return *time;
  if (auto day = config::parse_rfc3339(std::string(text) + "T00:00:00Z")) return *day;
  if (text.starts_with('-'))
    if (auto ago = config::parse_duration(text.substr(1))) return now - *ago;
  std::int64_t millis = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), millis);
  if (error == std::errc{} && end == text.data() + text.size() && millis >= 0 && millis < 253'402'300'800'000)
    return from_millis(millis);
  return invalid(
      fmt::format("'{}' is no time: expected one such as 2026-03-01T12:30:00Z or 2026-03-01, how long ago, such as "
                  "-7d or -2h30m, `now`, or milliseconds since 1970",
                  text));
}

std::string shown(Time time) {
  auto second = std::chrono::floor<std::chrono::seconds>(time);
  std::string text = fmt::format("{:%Y-%m-%dT%H:%M:%S}", fmt::gmtime(second.time_since_epoch().count()));
  if (auto micros = (time - second).count(); micros != 0) {
    text += fmt::format(".{:06}", micros);
    while (text.ends_with('0')) text.pop_back();
  }
  return text + "Z";
}

}  // namespace millrace::cli
