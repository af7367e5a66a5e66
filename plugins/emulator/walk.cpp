#include "plugins/emulator/walk.h"

#include <algorithm>
#include <cmath>

namespace millrace::emulator {

// Dividing by the reciprocal of a decimal quantum gives the nearest double, where multiplying by the quantum does not.
double quantise(double value, double quantum) {
  double per_unit = std::round(1.0 / quantum);
  return std::round(value * per_unit) / per_unit;
}

Walk::Walk(const Quantity& quantity, Random& random) : state_(random.noise() * quantity.deviation) {}

double Walk::next(const Quantity& quantity, double interval_seconds, Random& random, double offset) {
  double keep = std::exp(-interval_seconds / quantity.memory);
  state_ = state_ * keep + quantity.deviation * std::sqrt(1.0 - keep * keep) * random.noise();
  return quantise(std::clamp(quantity.mean + state_ + offset, quantity.low, quantity.high), quantity.quantum);
}

}  // namespace millrace::emulator
