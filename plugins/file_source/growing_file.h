#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "runner/stage/error.h"

namespace millrace::file_source {

/// A file read from its start in large pieces, each of whole lines as far as its caller can tell, and followed as it grows.
/// Holds what its caller leaves unconsumed, and one piece.
class GrowingFile {
 public:
  struct Options {
    std::filesystem::path path;
    bool follow = false;
    std::size_t piece = 64U << 10U;  ///< bytes to read at a time
  };

  enum class State {
    data,  ///< there is text to take
    idle,  ///< nothing more for now: the file may grow
    over,  ///< nothing more, ever
  };

  explicit GrowingFile(Options options) : options_(std::move(options)) {}
  ~GrowingFile() { close(); }
  GrowingFile(const GrowingFile&) = delete;
  GrowingFile& operator=(const GrowingFile&) = delete;

  /// Opens the file and starts at its beginning; goes on where it was if the file is open already, as after a failed read.
  Result<void> open();

  /// Reads on if need be. Afterwards text() is what has been read and not consumed.
  Result<State> read();
  std::string_view text() const { return std::string_view(buffer_).substr(taken_); }

  /// Whether text() is all that will come of this file: its last line needs no line feed then.
  bool last() const { return last_; }

  /// Whether what comes next is the beginning of a file, as after open() and when another file has taken its place.
  bool at_start() const { return at_start_; }

  /// The first bytes of text() are done with. With 0 the caller says that it needs more: the next read() adds to text().
  void consume(std::size_t bytes);

  /// What has happened to the file since the last call, for the operator; empty if nothing.
  std::string news() { return std::exchange(news_, {}); }

 private:
  Result<State> at_end();
  bool replaced() const;
  void restart();
  void close();

  Options options_;
  int fd_ = -1;
  std::string buffer_;
  std::size_t taken_ = 0;
  off_t offset_ = 0;
  bool hungry_ = true;
  bool last_ = false;
  bool at_start_ = true;
  std::string news_;
};

}  // namespace millrace::file_source
