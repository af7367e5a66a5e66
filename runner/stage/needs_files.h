#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace millrace {

/// A stage that opens files which its options name only when it connects, such as certificates, derives from this besides, so
/// that `millrace check` can tell of those that cannot be used. A run goes on trying, for they may come.
class NeedsFiles {
 public:
  struct Problem {
    std::string_view option;  ///< of the stage
    std::string_view within;  ///< an option of that one; empty for the option itself
    std::string what;
  };

  virtual ~NeedsFiles() = default;

  /// What is wrong with the files as they are now. Reads them, never waits; before connect().
  virtual std::vector<Problem> file_problems() const = 0;
};

}  // namespace millrace
