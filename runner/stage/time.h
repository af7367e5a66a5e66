#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>

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

/// The wall clock, made fit for deadlines: it never goes back. Forward steps are followed at once; after a step back it runs a
/// twentieth slower until the wall clock has caught up, so that whoever waits for a moment does not wait through it twice. Any
/// thread.
class SystemClock final : public Clock {
 public:
  Time now() const override;

  /// What now() returns for given readings of the wall clock and of a clock that never steps; for tests.
  Time read(Time wall, Duration steady) const;

 private:
  mutable std::mutex mutex_;
  mutable Duration ahead_{};  ///< the clock, less the steady one
  mutable Duration last_{};   ///< the steady one at the last reading
  mutable bool started_ = false;
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
