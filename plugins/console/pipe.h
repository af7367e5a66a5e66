#pragma once

#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "runner/stage/error.h"

namespace millrace::console {

/// Writes lines to a file descriptor that it does not own and whose blocking mode it must not change, as standard output is
/// shared with others. It waits while the reader of a pipe does not read, and gives up when stopped.
///
/// To a pipe or a terminal it writes up to PIPE_BUF bytes at a time, in whole lines where they fit: such a write is atomic, so
/// that lines of several writers do not mix, and it never blocks once the pipe is writable.
class Pipe {
 public:
  /// `name` is what messages call it.
  Pipe(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}

  Result<void> write(std::string_view lines, const std::stop_token& stop) const;

 private:
  Error failed(int error) const;

  int fd_;
  std::string name_;
};

}  // namespace millrace::console
