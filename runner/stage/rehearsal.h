#pragma once

#include "runner/stage/time.h"

namespace millrace {

/// What a run in virtual time asks of a stage that no live run does: a stage that has an answer derives from this besides.
class Rehearsal {
 public:
  virtual ~Rehearsal() = default;

  /// After connect() and before anything else: of what was saved, the contents of windows count as lost.
  virtual void lose_windows() = 0;

  /// For how long what a record leads to may hang on those before it; Duration::max() if for ever. May be asked of a stage that
  /// was never connected.
  virtual Duration look_back() const = 0;
};

}  // namespace millrace
