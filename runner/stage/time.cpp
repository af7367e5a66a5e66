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

Duration SystemClock::behind() const {
  return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()) - now();
}

Time SystemClock::read(Time wall, Duration steady) const {
  std::lock_guard lock(mutex_);
  Duration target = wall.time_since_epoch() - steady;
  if (!started_) {
    started_ = true;
    ahead_ = target;
    adjusted_ = begun_ = steady;
  }
  if (steady - begun_ < setting && target > ahead_) ahead_ = target;
  // Not at every reading: of less than a second a thousandth is lost in rounding.
  if (Duration passed = steady - adjusted_; passed >= 1s) {
    ahead_ += std::clamp(target - ahead_, -passed / slew, passed / slew);
    adjusted_ = steady;
  }
  // Another thread may have read the steady clock later and come first.
  return last_ = std::max(last_, Time(steady + ahead_));
}

}  // namespace millrace
