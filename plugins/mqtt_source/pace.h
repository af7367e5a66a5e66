#pragma once

#include <cstddef>

#include "runner/stage/time.h"

namespace millrace::mqtt_source {

/// When the stage asks to be woken for each message, and when it looks by itself once a millisecond. To wake a sleeping thread
/// costs more than to decode three messages, so under load the wakes would be most of the work; at up to eight messages a
/// millisecond every message wakes, because then it is the delay that counts.
class Pace {
 public:
  static constexpr Duration period{1ms};
  static constexpr std::size_t many = 8;  ///< messages a period
  static constexpr int patience = 20;     ///< quiet periods until it is calm: load comes in bursts

  /// After each poll: how many messages it took. True if calm has just set in.
  bool polled(Time now, std::size_t messages) {
    taken_ += messages;
    Duration passed = now - since_;
    if (passed < period && passed >= Duration::zero()) return false;
    // Periods in which nothing looked count, too: a burst after a rest is no load.
    bool load = passed > Duration::zero() &&
                taken_ * static_cast<std::size_t>(period.count()) >= many * static_cast<std::size_t>(passed.count());
    since_ = now;
    taken_ = 0;
    bool was_busy = busy_;
    quiet_ = load ? 0 : quiet_ + 1;
    busy_ = load || (busy_ && quiet_ < patience);
    return was_busy && !busy_;
  }

  bool busy() const { return busy_; }

  /// When to look again while busy.
  Time next() const { return since_ + period; }

 private:
  Time since_{};
  std::size_t taken_ = 0;
  int quiet_ = 0;
  bool busy_ = false;
};

}  // namespace millrace::mqtt_source
