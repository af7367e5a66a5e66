#pragma once

#include <stop_token>
#include <string_view>

#include "runner/stage/error.h"

namespace millrace::console {

/// Writes lines to a file descriptor that it does not own and whose blocking mode it must not change, as standard output is
/// shared with others. It waits while the reader of a pipe does not read, and gives up when stopped.
///
/// To a pipe or a terminal it writes up to PIPE_BUF bytes at a time, in whole lines where they fit: such a write is atomic, so
/// that lines of several writers do not mix, and it never blocks once the pipe is writable.
class Pipe {
 public:
  explicit Pipe(int fd) : fd_(fd) {}

  Result<void> write(std::string_view lines, const std::stop_token& stop) const;

 private:
  int fd_;
};

}  // namespace millrace::console
