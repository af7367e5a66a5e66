#include "plugins/emulator/devkit.h"

#include <utility>

namespace millrace::emulator {
namespace {

// Ranges: data sheets of HTS221, LPS22HB, LSM6DSL, LIS2MDL and the full scales that the DevKit's firmware sets.
constexpr std::array<Quantity, 12> quantities{{
    {23.5, 0.6, 900, -40, 120, 0.01},            // temperature
    {45.0, 1.2, 600, 0, 100, 0.01},              // humidity
    {1013.2, 1.5, 7200, 260, 1260, 0.01},        // pressure
    {-12, 4, 0.5, -2000, 2000, 1},               // accelerometer x, y, z
    {21, 4, 0.5, -2000, 2000, 1},                //
    {998, 4, 0.5, -2000, 2000, 1},               //
    {350, 120, 0.5, -2'000'000, 2'000'000, 1},   // gyroscope x, y, z
    {-770, 120, 0.5, -2'000'000, 2'000'000, 1},  //
    {210, 120, 0.5, -2'000'000, 2'000'000, 1},   //
    {-185, 5, 5, -50'000, 50'000, 1},            // magnetometer x, y, z
    {60, 5, 5, -50'000, 50'000, 1},              //
    {-410, 5, 5, -50'000, 50'000, 1},            //
}};

constexpr std::size_t temperature = 0;
constexpr std::size_t humidity = 1;
constexpr std::size_t pressure = 2;
constexpr std::size_t accelerometer = 3;
constexpr std::size_t gyroscope = 6;
constexpr std::size_t magnetometer = 9;

template <std::size_t... I>
std::array<Walk, sizeof...(I)> all_walks(Random& random, std::index_sequence<I...>) {
  return {{Walk(quantities[I], random)...}};
}

}  // namespace

DevKit::DevKit(std::uint64_t seed, std::uint32_t number, Duration interval)
    : name_("AZ3166-" + std::to_string(number)),
      random_(seed, number),
      interval_seconds_(std::chrono::duration<double>(interval).count()),
      walks_(all_walks(random_, std::make_index_sequence<quantities.size()>{})) {}

Axes DevKit::next_axes(std::size_t first) {
  auto axis = [&](std::size_t i) {
    return static_cast<std::int64_t>(walks_[first + i].next(quantities[first + i], interval_seconds_, random_));
  };
  Axes axes;
  axes.x = axis(0);
  axes.y = axis(1);
  axes.z = axis(2);
  return axes;
}

Reading DevKit::next(double humidity_offset) {
  Reading reading;
  reading.message = ++messages_;
  reading.temperature = walks_[temperature].next(quantities[temperature], interval_seconds_, random_);
  reading.humidity = walks_[humidity].next(quantities[humidity], interval_seconds_, random_, humidity_offset);
  reading.pressure = walks_[pressure].next(quantities[pressure], interval_seconds_, random_);
  reading.accelerometer = next_axes(accelerometer);
  reading.gyroscope = next_axes(gyroscope);
  reading.magnetometer = next_axes(magnetometer);
  return reading;
}

}  // namespace millrace::emulator
