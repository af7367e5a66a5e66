#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runner/config/fields.h"
#include "runner/stage/record.h"
#include "runner/stage/time.h"

namespace millrace::config {

/// What a number in a time field counts, from the Unix epoch.
enum class TimeUnit { seconds, milliseconds, microseconds };

/// `time: {field: ts, unit: ms}` of a source: where a payload says when its event happened. Shorthand: `time: ts`.
struct EventTime {
  std::string field;  ///< empty: payloads carry no time
  TimeUnit unit = TimeUnit::milliseconds;

  static void describe(Fields<EventTime>& f);

  /// The record's event time: a number in `unit`, or a text as RFC 3339 has it. Nothing if the field is missing, of another
  /// type, malformed or outside the years 0001 to 9999.
  std::optional<Time> read(const Record& record) const;
};

/// `device: {field: deviceId}` of a source: the field that names the device.
struct DeviceField {
  std::string field;

  static void describe(Fields<DeviceField>& f);

  /// The device's name, in `arena` or the record; an integer as decimal digits; empty if the field is missing or anything else.
  std::string_view read(const Record& record, Arena& arena) const;
};

/// A time as RFC 3339 section 5.6 writes it: `2026-03-01T12:30:05.25Z`, `2026-03-01 12:30:05+01:00`. Digits beyond microseconds
/// are cut off; a leap second counts as the second after it.
std::optional<Time> parse_rfc3339(std::string_view text);

}  // namespace millrace::config
