#pragma once

#include <string>
#include <vector>

namespace millrace {

/// A stage that can say what its options come to, for `millrace check --explain`, derives from this besides. Asked of a stage
/// that was constructed and never connected.
class Explains {
 public:
  virtual ~Explains() = default;

  /// One line each, without the stage's name.
  virtual std::vector<std::string> explain() const = 0;
};

}  // namespace millrace
