#pragma once

#include <string>
#include <vector>

namespace millrace {

/// A stage that has paths of its pipeline's listener for that pipeline alone derives from this besides, so that `millrace
/// check` sees which files cannot run together. Asked of a stage that was constructed and never connected.
class ServesPaths {
 public:
  virtual ~ServesPaths() = default;

  virtual std::vector<std::string> served_paths() const = 0;
};

}  // namespace millrace
