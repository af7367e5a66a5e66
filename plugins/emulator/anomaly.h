#pragma once

#include <cstdint>

#include "runner/stage/time.h"

namespace millrace::config {
template <class C>
class Fields;
}

namespace millrace::emulator {

/// A scripted anomaly: every so often the humidity of one device jumps, as if somebody breathed on it. The devices take turns.
struct Anomaly {
  Duration every{20s};    ///< zero: never
  Duration length{5s};    ///< how long the jump stays
  double amplitude = 20;  ///< percentage points

  static void describe(config::Fields<Anomaly>& f);

  /// What the anomaly adds to the humidity of device `index` of `devices`, `since_start` after the first reading. The first
  /// jump comes one `every` after the start.
  double humidity_offset(Duration since_start, std::uint64_t index, std::uint64_t devices) const {
    if (every <= Duration::zero() || since_start < every) return 0.0;
    auto turn = static_cast<std::uint64_t>(since_start / every) - 1;
    return turn % devices == index && since_start % every < length ? amplitude : 0.0;
  }
};

}  // namespace millrace::emulator
