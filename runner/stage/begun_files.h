#pragma once

#include <filesystem>
#include <mutex>
#include <set>

namespace millrace {

/// The files that the sinks of this run have begun to write: what empties a file at its start leaves those as they are, as a
/// reload is no start. A service of a live run, which keeps it from its start to its end; there is none in virtual time. Any
/// thread.
class BegunFiles {
 public:
  bool contains(const std::filesystem::path& file) const {
    std::lock_guard lock(mutex_);
    return files_.contains(named(file));
  }

  /// Once the file has been opened, and emptied if that was wanted.
  void add(const std::filesystem::path& file) {
    std::lock_guard lock(mutex_);
    files_.insert(named(file));
  }

 private:
  /// By the path as it is written, not where links lead: a link that is turned to another file goes on there, as a rotation
  /// does.
  static std::filesystem::path named(const std::filesystem::path& file) {
    return std::filesystem::absolute(file).lexically_normal();
  }

  mutable std::mutex mutex_;
  std::set<std::filesystem::path> files_;
};

}  // namespace millrace
