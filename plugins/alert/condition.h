#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugins/alert/event_time.h"

namespace millrace::alert {

/// A question to one number.
struct Test {
  enum class Kind : std::uint8_t { above, at_least, below, at_most, equals, differs, outside, inside };
  Kind kind = Kind::above;
  double low = 0;   ///< the operand, or the lower bound
  double high = 0;  ///< the upper bound of outside and inside

  /// `inside` takes its bounds in, `outside` leaves them out: one is the opposite of the other.
  bool holds(double value) const {
    switch (kind) {
      case Kind::above: return value > low;
      case Kind::at_least: return value >= low;
      case Kind::below: return value < low;
      case Kind::at_most: return value <= low;
      case Kind::equals: return value == low;
      case Kind::differs: return value != low;
      case Kind::outside: return value < low || value > high;
      case Kind::inside: return value >= low && value <= high;
    }
    return false;
  }
};

/// A grade of seriousness: when it holds, when it ends, how long it must have held.
struct Level {
  std::string name;
  Test when;
  std::optional<Test> clear;  ///< hysteresis: once reached, it stays until this holds
  Micros hold = 0;            ///< `for`
};

/// The level of the condition, 0 for none, after `value`, from the level before. Levels are counted from 1, low to high. The
/// highest level above the current that holds wins; else the current stays while its own clear test has not been met; else the
/// highest that holds, up to the current.
inline int next_level(std::span<const Level> levels, int current, double value) {
  int top = static_cast<int>(levels.size());
  for (int l = top; l > current; --l)
    if (levels[l - 1].when.holds(value)) return l;
  if (current > 0 && levels[current - 1].clear && !levels[current - 1].clear->holds(value)) return current;
  for (int l = current; l > 0; --l)
    if (levels[l - 1].when.holds(value)) return l;
  return 0;
}

}  // namespace millrace::alert
