#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "runner/stage/time.h"

namespace millrace::config {
template <class C>
class Fields;
}

namespace millrace::emulator {

/// The options of scripted anomalies; what is not given is the profile's.
struct Anomaly {
  std::optional<Duration> every;  ///< zero: never
  std::optional<Duration> length;
  double amplitude = 20;  ///< of a humidity jump, percentage points

  static void describe(config::Fields<Anomaly>& f);
};

/// An anomaly as one device lives through it.
struct Episode {
  std::uint64_t kind = 0;  ///< counts up with each episode of a device: a profile with several kinds takes them in turn
  double seconds = 0;      ///< since it began
  double length = 0;       ///< in seconds
  double amplitude = 0;    ///< as the option says

  double progress() const { return seconds / length; }

  /// 0 at both ends and 1 between: up over the first third, down over the last sixth.
  double rise_and_fall() const { return std::clamp(std::min(progress() * 3, (1 - progress()) * 6), 0.0, 1.0); }
};

/// When anomalies come: one `every` after the start for the first time, and the devices take turns.
struct Script {
  Duration every{};
  Duration length{};
  double amplitude = 0;

  /// The episode that device `index` of `devices` is in, `since_start` after the first reading.
  std::optional<Episode> episode(Duration since_start, std::uint64_t index, std::uint64_t devices) const {
    if (every <= Duration::zero() || since_start < every || since_start % every >= length) return std::nullopt;
    auto turn = static_cast<std::uint64_t>(since_start / every) - 1;
    if (turn % devices != index) return std::nullopt;
    auto seconds = [](Duration d) { return std::chrono::duration<double>(d).count(); };
    return Episode{turn / devices + index, seconds(since_start % every), seconds(length), amplitude};
  }
};

}  // namespace millrace::emulator
