#pragma once

#include <filesystem>

#include "runner/stage/error.h"

namespace millrace::console {

/// What stands under a path, open for adding to it until the end of this object.
class OpenFile {
 public:
  OpenFile() = default;
  ~OpenFile() { close(); }
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;

  /// A regular file is made if there is none. Never waits: a named pipe that nobody reads yet is `unavailable`, and so is a
  /// full disk; a path that cannot be written as things stand is `invalid`.
  static Result<OpenFile> open(const std::filesystem::path& path);

  int descriptor() const { return fd_; }

 private:
  void close();

  int fd_ = -1;
};

}  // namespace millrace::console
