#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <random>

#include "runner/stage/time.h"

namespace millrace::supervise {

/// How long to wait before the next try: full jitter, a random part of a limit that doubles with each failure (AWS Architecture
/// Blog, "Exponential Backoff And Jitter"). A success counts only when it has lasted, so that whoever connects and fails at
/// once is not retried at the shortest pause for ever.
class Backoff {
 public:
  /// What has failed, and so what would show that it works again.
  enum class Lapse {
    batch,      ///< a batch was not taken: one that is shows it
    connection  ///< it broke or was not made: only that it holds shows it, however much went through before it breaks again
  };

  explicit Backoff(std::uint64_t seed) : random_(seed) {}

  /// A try has failed; when to try again.
  Time failed(Time now, Lapse lapse) {
    if (failures_ == 0 || lapse == Lapse::connection) lapse_ = lapse;
    auto limit = std::min<Duration>(longest, first * (std::int64_t{1} << std::min(failures_, 20)));
    ++failures_;
    good_since_.reset();
    return now + Duration(std::uniform_int_distribution<std::int64_t>(limit.count() / 20, limit.count())(random_));
  }

  /// Something has worked, a batch if `through`. Failures are forgotten after `lasting` of that, or at once if what went
  /// through shows it.
  void worked(Time now, bool through) {
    if (failures_ == 0) return;
    if (!good_since_) good_since_ = now;
    if ((through && lapse_ == Lapse::batch) || now - *good_since_ >= lasting) failures_ = 0;
  }

  int failures() const { return failures_; }

  static constexpr Duration first = 250ms;
  static constexpr Duration longest = 30s;
  static constexpr Duration lasting = 10s;

 private:
  std::mt19937_64 random_;
  int failures_ = 0;
  Lapse lapse_ = Lapse::batch;  ///< the graver of what has failed
  std::optional<Time> good_since_;
};

}  // namespace millrace::supervise
