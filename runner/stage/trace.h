#pragma once

#include <span>
#include <string_view>

#include "runner/stage/value.h"

namespace millrace {

/// Looks on while stages work, for `millrace replay --trace`. A stage asks for it in connect() with Context::service<Trace>(),
/// which is null everywhere else, and says what happens inside it, in order.
class Trace {
 public:
  virtual ~Trace() = default;

  /// `kind` is one of record, window, derived, transition, notification; the members are valid during the call.
  virtual void happened(std::string_view stage, std::string_view kind, std::span<const Field> members) = 0;
};

}  // namespace millrace
