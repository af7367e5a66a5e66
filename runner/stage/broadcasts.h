#pragma once

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace {

/// A sink that sends messages to clients of its own and can say which, for `millrace test`, derives from this besides. Asked of
/// a stage that was constructed and never connected.
class Broadcasts {
 public:
  virtual ~Broadcasts() = default;

  /// What a client that takes everything would get for `batch`: one record a message, with the fields `target`, a text, and
  /// `arguments`, a list.
  virtual Result<Batch> messages(const Batch& batch) const = 0;
};

}  // namespace millrace
