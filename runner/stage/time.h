#pragma once

#include <chrono>
#include <cstdint>

namespace millrace {

using Duration = std::chrono::microseconds;

/// A point in time, UTC, microseconds since the Unix epoch.
using Time = std::chrono::sys_time<Duration>;

using namespace std::chrono_literals;

/// Milliseconds since the epoch with their fraction: how a Time is written in JSON.
constexpr double to_millis(Time t) { return static_cast<double>(t.time_since_epoch().count()) / 1000.0; }

/// Whole milliseconds since the epoch, rounded down: how the history stores a Time.
constexpr std::int64_t to_whole_millis(Time t) {
  return std::chrono::floor<std::chrono::milliseconds>(t).time_since_epoch().count();
}

constexpr Time from_millis(std::int64_t ms) { return Time{std::chrono::milliseconds{ms}}; }

/// Where time comes from. Stages never read the system clock; a virtual clock makes an hour pass in a millisecond.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

/// The wall clock.
class SystemClock final : public Clock {
 public:
  Time now() const override { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }
};

/// A clock that its owner moves: `millrace test`, `millrace replay` and unit tests.
class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Time start = Time{}) : now_(start) {}
  Time now() const override { return now_; }
  void set(Time now) { now_ = now; }

 private:
  Time now_;
};

}  // namespace millrace
