#pragma once

#include <optional>
#include <string>
#include <vector>

namespace millrace {

/// A stage that has paths of its pipeline's listener for that pipeline alone derives from this besides, so that `millrace
/// check` sees which files, and which stages of a file, cannot run together. Asked of a stage that was constructed and never
/// connected.
class ServesPaths {
 public:
  virtual ~ServesPaths() = default;

  virtual std::vector<std::string> served_paths() const = 0;

  /// Why it cannot run beside another stage of its own pipeline; nothing if it can.
  virtual std::optional<std::string> clash_with(const ServesPaths& other) const = 0;
};

}  // namespace millrace
