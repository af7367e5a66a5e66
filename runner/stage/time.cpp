#include "runner/stage/time.h"

#include <algorithm>
#include <ctime>

namespace millrace {

Time SystemClock::now() const {
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);  // unlike CLOCK_MONOTONIC it goes on while the machine sleeps
  auto steady =
      std::chrono::duration_cast<Duration>(std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec));
  return read(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()), steady);
}

Time SystemClock::read(Time wall, Duration steady) const {
  std::lock_guard lock(mutex_);
  Duration target = wall.time_since_epoch() - steady;
  if (!started_) {
    started_ = true;
    ahead_ = target;
    last_ = steady;
  }
  // Another thread may have read the steady clock later and come first.
  steady = std::max(steady, last_);
  ahead_ = std::max(target, ahead_ - (steady - last_) / 20);
  last_ = steady;
  return Time(steady + ahead_);
}

}  // namespace millrace
