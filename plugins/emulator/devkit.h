#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "plugins/emulator/random.h"
#include "plugins/emulator/walk.h"
#include "runner/stage/time.h"

namespace millrace::emulator {

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
