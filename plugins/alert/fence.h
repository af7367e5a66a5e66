#pragma once

#include <vector>

namespace millrace::alert {

struct Position {
  double latitude = 0, longitude = 0;  ///< degrees
};

/// A place on the map. A circle if it has a radius, else a polygon.
struct Fence {
  Position centre;
  double radius = 0;  ///< metres
  std::vector<Position> corners;
};

/// Metres along the great circle (haversine, mean earth radius 6 371 008.8 m).
double distance(Position a, Position b);

/// Circle: metres outside the border, negative within. Polygon: 0 within or on the border, 1 outside, by the even-odd rule on
/// plain degrees, so a polygon must not span the date line. Null if the position is.
double outside(const Fence& fence, Position at);

}  // namespace millrace::alert
