#pragma once

#include "plugins/emulator/random.h"

namespace millrace::emulator {

/// How one quantity moves: around `mean` with standard deviation `deviation`, forgetting where it was within about `memory`
/// seconds, never outside of what its sensor can say.
struct Quantity {
  double mean;
  double deviation;
  double memory;
  double low;
  double high;
  double quantum;  ///< the reading's last digit
};

/// The double that is nearest to a multiple of a decimal quantum, so that 45.07 prints so.
double quantise(double value, double quantum);

/// A random walk that is pulled back to its mean (Ornstein-Uhlenbeck, in its exact discrete form): smooth at any interval.
class Walk {
 public:
  Walk(const Quantity& quantity, Random& random);

  /// The reading one interval later, quantised and within the range. `offset` is added to the reading, not to the walk.
  double next(const Quantity& quantity, double interval_seconds, Random& random, double offset = 0.0);

 private:
  double state_;
};

}  // namespace millrace::emulator
