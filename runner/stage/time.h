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

/// The wall clock, made fit for deadlines and for judging what is late: it never goes back and does not jump. It runs with the
/// machine's steady clock from where the wall clock stood at the first reading, and is drawn towards the wall clock by at most
/// a thousandth: enough for all that NTP corrects by slewing, and too little for a step, which may be a mistake and soon
/// undone, to make a device look silent or its records late. Steps forward within the first ten minutes are followed at once: a
/// machine without a clock of its own is set after it has booted. Any thread.
class SystemClock final : public Clock {
 public:
  Time now() const override;

  /// How far the wall clock is ahead, negative if it is behind: what a step has left.
  Duration behind() const;

  /// What now() returns for given readings of the wall clock and of a clock that never steps; for tests.
  Time read(Time wall, Duration steady) const;

  static constexpr Duration setting = std::chrono::minutes(10);
  static constexpr int slew = 1000;

 private:
  mutable std::mutex mutex_;
  mutable Duration ahead_{};     ///< the clock, less the steady one
  mutable Duration adjusted_{};  ///< the steady one when it was drawn last
  mutable Duration begun_{};     ///< the steady one at the first reading
  mutable Time last_{};
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
