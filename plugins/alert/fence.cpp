#include "plugins/alert/fence.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "plugins/alert/aggregate.h"

namespace millrace::alert {

namespace {

constexpr double earth_radius = 6'371'008.8;

double radians(double degrees) { return degrees * std::numbers::pi / 180; }

bool on_edge(Position a, Position b, Position p) {
  double across =
      (b.longitude - a.longitude) * (p.latitude - a.latitude) - (b.latitude - a.latitude) * (p.longitude - a.longitude);
  if (across != 0) return false;
  auto between = [](double x, double y, double v) { return v >= std::min(x, y) && v <= std::max(x, y); };
  return between(a.latitude, b.latitude, p.latitude) && between(a.longitude, b.longitude, p.longitude);
}

bool within(const std::vector<Position>& corners, Position p) {
  bool inside = false;
  for (std::size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Position& a = corners[i];
    const Position& b = corners[j];
    if (on_edge(a, b, p)) return true;
    if ((a.latitude > p.latitude) == (b.latitude > p.latitude)) continue;
    double crossing = (b.longitude - a.longitude) * (p.latitude - a.latitude) / (b.latitude - a.latitude) + a.longitude;
    if (p.longitude < crossing) inside = !inside;
  }
  return inside;
}

}  // namespace

double distance(Position a, Position b) {
  double up = std::sin(radians(b.latitude - a.latitude) / 2);
  double along = std::sin(radians(b.longitude - a.longitude) / 2);
  double h = up * up + std::cos(radians(a.latitude)) * std::cos(radians(b.latitude)) * along * along;
  return 2 * earth_radius * std::asin(std::sqrt(std::min(1.0, h)));
}

double outside(const Fence& fence, Position at) {
  if (is_null(at.latitude) || is_null(at.longitude)) return null_value;
  if (fence.radius > 0) return distance(fence.centre, at) - fence.radius;
  if (fence.corners.empty()) return 1;
  return within(fence.corners, at) ? 0 : 1;
}

}  // namespace millrace::alert
