#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "runner/stage/error.h"

namespace millrace::file_sink {

/// A file of lines that is written in whole batches, and stays a file of whole lines whatever happens.
///
/// A batch that could not be written to its end leaves no trace: the file is cut back, and the batch comes again. A kill or a
/// power failure can leave the last line torn. It belongs to a batch that was never settled and comes again too, so open() cuts
/// it off; but a last line that is whole JSON and lacks only its line feed, as editors leave it, is kept and gets one.
///
/// When another file stands under the path, or none (a log rotation), the next write goes to a new one.
class LinesFile {
 public:
  struct Options {
    std::filesystem::path path;
    bool append = true;  ///< else the first open() empties the file
    bool sync = false;   ///< write() returns only once the disk has the data
  };

  explicit LinesFile(Options options) : options_(std::move(options)) {}
  ~LinesFile() { close(); }
  LinesFile(const LinesFile&) = delete;
  LinesFile& operator=(const LinesFile&) = delete;

  /// ErrorKind::invalid where the path can never be written by this process as things stand (no such folder, no right, a pipe).
  Result<void> open();

  /// The first open() is no start: it empties nothing, whatever `append` says.
  void keep_contents() { options_.append = true; }

  /// What open() would refuse as ErrorKind::invalid; leaves the file as it is.
  Result<void> preflight() const;
  Result<void> write(std::string_view lines);
  void close();

  /// Bytes that the last open() cut off.
  std::uint64_t cut_off() const { return cut_off_; }

 private:
  Result<void> see_kind() const;
  Result<void> mend_last_line();
  Result<void> append_whole(std::string_view lines);
  bool was_replaced() const;
  Error failed(std::string_view doing, int error) const;
  Error cannot_open(int error) const;

  Options options_;
  int fd_ = -1;
  bool regular_ = false;
  bool emptied_ = false;
  std::uint64_t cut_off_ = 0;
};

}  // namespace millrace::file_sink
