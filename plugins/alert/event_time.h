#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

namespace millrace::alert {

/// A time or a span, in microseconds; times count from the epoch, UTC.
using Micros = std::int64_t;

/// Before and after every time that occurs, with room for sums.
inline constexpr Micros never_yet = std::numeric_limits<Micros>::min() / 4;
inline constexpr Micros for_ever = std::numeric_limits<Micros>::max() / 4;

enum class Lateness { drop, adjust };
enum class Scope { key, source };

/// How event times are judged against the arrival clock.
struct TimePolicy {
  bool by_arrival = false;  ///< the arrival time is the event time, and nothing below but `scope` plays a part
  Micros late = 5'000'000;
  Micros early = 300'000'000;
  Micros out_of_order = 0;
  Lateness policy = Lateness::drop;
  Scope scope = Scope::key;
};

/// How far event time has come: nothing earlier than `at` is accepted any more as it stands.
struct Watermark {
  Micros at = never_yet;
  Micros newest = never_yet;  ///< the largest event time accepted

  void see(Micros time, Micros out_of_order) {
    newest = std::max(newest, time);
    at = std::max(at, newest - out_of_order);
  }
};

enum class Outcome { accepted, adjusted, dropped };
enum class Why { fine, early, late, out_of_order };

/// What becomes of a record: its effective time, unless dropped.
struct Admission {
  Outcome outcome = Outcome::accepted;
  Why why = Why::fine;
  Micros time = 0;
};

/// Judges a record that arrives at `arrival` and says `time`, where the watermark stands at `watermark`. Exactly `late` behind
/// is in time, and so is a record at the watermark.
inline Admission admit(const TimePolicy& policy, Micros arrival, Micros time, Micros watermark) {
  if (policy.by_arrival) return {Outcome::accepted, Why::fine, std::max(arrival, watermark)};
  if (time > arrival + policy.early) return {Outcome::dropped, Why::early, time};
  Admission result{Outcome::accepted, Why::fine, time};
  auto behind = [&](Micros limit, Why why) {
    if (result.outcome == Outcome::dropped || result.time >= limit) return;
    result =
        policy.policy == Lateness::drop ? Admission{Outcome::dropped, why, time} : Admission{Outcome::adjusted, why, limit};
  };
  behind(arrival - policy.late, Why::late);
  behind(watermark, Why::out_of_order);
  return result;
}

constexpr std::string_view name_of(Outcome outcome) {
  constexpr std::string_view names[] = {"accepted", "adjusted", "dropped"};
  return names[static_cast<int>(outcome)];
}

constexpr std::string_view name_of(Why why) {
  constexpr std::string_view names[] = {"", "early", "late", "out_of_order"};
  return names[static_cast<int>(why)];
}

/// Division that rounds towards minus infinity and plus infinity; `unit` is positive.
constexpr Micros floor_div(Micros value, Micros unit) { return value / unit - (value % unit < 0 ? 1 : 0); }
constexpr Micros ceil_div(Micros value, Micros unit) { return value / unit + (value % unit > 0 ? 1 : 0); }

}  // namespace millrace::alert
