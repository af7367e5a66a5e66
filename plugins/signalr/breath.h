#pragma once

#include <algorithm>
#include <chrono>

namespace millrace::signalr {

/// How long a turn of the hub waits, so that records that come piecemeal go out together. Where clients are so many that turns
/// are long and follow each other, records come one by one while a turn begins: whoever began with the first would write to
/// every client again for the others. A moment that is short beside the turn lets them gather. Where there is time between
/// turns, nothing waits.
class Breath {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr Clock::duration long_turn = std::chrono::milliseconds(1);  ///< shorter ones are followed at once
  static constexpr Clock::duration longest = std::chrono::milliseconds(1);
  static constexpr int share = 8;  ///< of the last turn: the eighth part

  void turned(Clock::time_point began, Clock::time_point ended) {
    ended_ = ended;
    took_ = ended - began;
  }

  /// What a turn waits for whose first record has come at `now`.
  Clock::duration before_turn(Clock::time_point now) const {
    bool close_behind = now - ended_ < took_;
    return took_ >= long_turn && close_behind ? std::min<Clock::duration>(took_ / share, longest) : Clock::duration::zero();
  }

  /// How long it took.
  Clock::duration last_turn() const { return took_; }

 private:
  Clock::time_point ended_{};
  Clock::duration took_{};
};

}  // namespace millrace::signalr
