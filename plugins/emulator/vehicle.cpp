#include <cmath>
#include <numbers>

#include "plugins/emulator/fleet.h"
#include "plugins/emulator/walk.h"

namespace millrace::emulator {
namespace {

using std::numbers::pi;

// The yard of pipelines/fleet-yard.yaml: a circle of 150 m.
constexpr double yard_latitude = 52.52;
constexpr double yard_longitude = 13.405;
constexpr double parking_radius = 60;

// A degree of latitude: a 360th of the mean meridian of WGS 84, 40,007.86 km.
constexpr double metres_per_degree = 111'133;

// Phones under an open sky are within 4.9 m (gps.gov, "GPS Accuracy"); most of that error moves over minutes, not seconds.
constexpr Quantity position_error{0, 1.6, 40, -10, 10, 0.01};

constexpr double town_speed = 14;  // metres a second, 50 km/h: the speed limit in towns of most of Europe
constexpr double farthest = 600;   // metres

/// A van that stands in its yard. In an episode it drives out and comes back, as a cosine: from rest to rest, at `town_speed`
/// at most, as far as the time allows.
class Vehicle {
 public:
  Vehicle(std::uint64_t seed, std::uint32_t number, Duration interval)
      : name_("van-" + std::to_string(number)),
        random_(seed, number),
        interval_seconds_(std::chrono::duration<double>(interval).count()),
        east_error_(position_error, random_),
        north_error_(position_error, random_) {
    double angle = 2 * pi * random_.uniform();
    double distance = parking_radius * std::sqrt(random_.uniform());
    east_ = distance * std::sin(angle);
    north_ = distance * std::cos(angle);
  }

  void append(Batch& batch, Time at, const std::optional<Episode>& episode) {
    double travelled = 0;
    double speed = 0;
    if (episode) {
      if (!away_) heading_ = 2 * pi * random_.uniform();
      double far = std::min(farthest, town_speed * episode->length / pi);
      travelled = far * (1 - std::cos(2 * pi * episode->progress())) / 2;
      speed = far * pi / episode->length * std::sin(2 * pi * episode->progress());
    }
    away_ = episode.has_value();
    double east = east_ + travelled * std::sin(heading_) + east_error_.next(position_error, interval_seconds_, random_);
    double north = north_ + travelled * std::cos(heading_) + north_error_.next(position_error, interval_seconds_, random_);
    double course = std::fmod(heading_ * 180 / pi + (speed < 0 ? 180 : 0), 360);

    Message message(batch, name_, at);
    message.set("deviceId", Value::string(message.device()))
        .set("messageId", ++messages_)
        .set("lat", quantise(yard_latitude + north / metres_per_degree, 1e-6))
        .set("lon", quantise(yard_longitude + east / (metres_per_degree * std::cos(yard_latitude * pi / 180)), 1e-6))
        .set("speed", quantise(std::abs(speed) * 3.6, 0.1))
        .set("speed_unit", Value::string("km/h"))
        .set("heading", quantise(course, 1))
        .stamp();
  }

 private:
  std::string name_;
  Random random_;
  double interval_seconds_;
  Walk east_error_, north_error_;
  double east_ = 0, north_ = 0;  ///< where it parks, in metres from the yard's middle
  double heading_ = 0;           ///< radians from north, clockwise
  bool away_ = false;
  std::int64_t messages_ = 0;
};

}  // namespace

std::unique_ptr<Fleet> vehicle_fleet(const FleetPlan& plan) { return std::make_unique<FleetOf<Vehicle>>(plan); }

}  // namespace millrace::emulator
