#pragma once

#include "runner/stage/error.h"

namespace millrace {

/// A stage that can tell in advance whether connect() would refuse derives from this besides, where an earlier version of it
/// would suffer from being ended and begun again: it owns a file, say, or has read one.
class Preflight {
 public:
  virtual ~Preflight() = default;

  /// ErrorKind::invalid if connect() would refuse as things stand. Changes and takes nothing, as the stage that it is to
  /// replace runs meanwhile, and never waits. A reload asks before it touches what runs; on the supervisor's thread, before
  /// connect().
  virtual Result<void> preflight() = 0;
};

}  // namespace millrace
