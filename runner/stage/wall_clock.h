#pragma once

#include "runner/stage/time.h"

namespace millrace {

/// What the system's clock shows besides Context::now(), which never jumps with it. A service of a live run; there is none in
/// virtual time. Any thread.
class WallClock {
 public:
  virtual ~WallClock() = default;

  /// How far it is ahead of Context::now(), negative if it is behind: what a step of it has left.
  virtual Duration ahead() const = 0;
};

}  // namespace millrace
