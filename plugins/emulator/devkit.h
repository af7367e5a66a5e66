#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "plugins/emulator/random.h"
#include "runner/stage/time.h"

namespace millrace::emulator {

/// How one quantity of the board moves: around `mean` with standard deviation `deviation`, forgetting where it was within
/// about `memory` seconds, never outside the part's range.
struct Quantity {
  double mean;
  double deviation;
  double memory;
  double low;
  double high;
  double quantum;  ///< the reading's last digit
};

/// A random walk that is pulled back to its mean (Ornstein-Uhlenbeck, in its exact discrete form): smooth at any interval.
class Walk {
 public:
  Walk(const Quantity& quantity, Random& random);

  /// The reading one interval later, quantised and within the part's range. `offset` is added to the reading, not to the walk.
  double next(const Quantity& quantity, double interval_seconds, Random& random, double offset = 0.0);

 private:
  double state_;
};

struct Axes {
  std::int64_t x = 0;
  std::int64_t y = 0;
  std::int64_t z = 0;
};

/// One set of readings of an AZ3166, in the units that its drivers deliver.
struct Reading {
  std::int64_t message = 0;  ///< counts up by one, from 1
  double temperature = 0;    ///< HTS221, degrees Celsius
  double humidity = 0;       ///< HTS221, % relative
  double pressure = 0;       ///< LPS22HB, hPa
  Axes accelerometer;        ///< LSM6DSL at +-2 g, mg
  Axes gyroscope;            ///< LSM6DSL at +-2000 dps, mdps
  Axes magnetometer;         ///< LIS2MDL, mgauss
};

/// One emulated AZ3166 DevKit, lying on a desk. Its readings are a function of seed, number and interval alone: the same three
/// give the same readings on every run and machine.
class DevKit {
 public:
  DevKit(std::uint64_t seed, std::uint32_t number, Duration interval);

  /// "AZ3166-<number>".
  const std::string& name() const { return name_; }

  /// The readings of the next interval, with `humidity_offset` percentage points added to the humidity.
  Reading next(double humidity_offset = 0.0);

 private:
  Axes next_axes(std::size_t first);

  std::string name_;
  Random random_;
  double interval_seconds_;
  std::int64_t messages_ = 0;
  std::array<Walk, 12> walks_;
};

}  // namespace millrace::emulator
