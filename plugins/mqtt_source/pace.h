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

  /// After each poll: how many messages it took. True if calm has just set in.
  bool polled(Time now, std::size_t messages) {
    taken_ += messages;
    Duration passed = now - since_;
    if (passed < period && passed >= Duration::zero()) return false;
    bool was_busy = busy_;
    // Periods in which nothing looked count, too: a burst after a rest is no load.
    busy_ = passed > Duration::zero() &&
            taken_ * static_cast<std::size_t>(period.count()) >= many * static_cast<std::size_t>(passed.count());
    since_ = now;
    taken_ = 0;
    return was_busy && !busy_;
  }

  bool busy() const { return busy_; }

  /// When to look again while busy.
  Time next() const { return since_ + period; }

 private:
  Time since_{};
  std::size_t taken_ = 0;
  bool busy_ = false;
};

}  // namespace millrace::mqtt_source
