#pragma once

#include <cstdint>

namespace millrace::emulator {

/// A small stream of random numbers, the same on every machine: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014). Eight bytes, so that a million devices fit in memory.
class Random {
 public:
  /// Streams of different numbers under one seed are independent for our purpose.
  Random(std::uint64_t seed, std::uint64_t stream) : state_(mix(seed) ^ mix(~stream)) {}

  /// Uniform in [0, 1), 53 bits.
  double uniform() { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }

  /// Mean 0, variance 1, bounded: uniform in [-sqrt(3), sqrt(3)).
  double noise() { return (uniform() - 0.5) * 3.4641016151377544; }

 private:
  static constexpr std::uint64_t step = 0x9e3779b97f4a7c15U;

  static std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  std::uint64_t next() { return mix(state_ += step); }

  std::uint64_t state_;
};

}  // namespace millrace::emulator
