#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/stage/context.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::store {

/// One row of a recording: a batch as a source handed it on, packed by whoever records (link::wire::encode_batch). One without
/// a source and without records says that the process began here: what came before, it had not seen live.
struct RecordedBatch {
  std::string source;
  Time at{};  ///< the clock when the source handed it on
  std::uint32_t records = 0;
  std::string data;
};

/// What the sources of one pipeline received, newest kept: `<folder>/recordings/<pipeline>.db`, an SQLite file of its own, so
/// that it neither shares the history's transactions nor its size. WAL without a sync at each commit: a power cut may cost the
/// last seconds. For one thread at a time.
class Recording {
 public:
  struct Bounds {
    Duration keep{};          ///< older rows go
    std::uint64_t bytes = 0;  ///< of the file: beyond it the oldest rows go
  };
  struct Trimmed {
    std::uint64_t by_age = 0, by_size = 0;  ///< records
  };

  /// Opens or makes the file. One that is damaged or no recording is moved aside (`.corrupt-<n>`), which `log` is told.
  static Result<std::unique_ptr<Recording>> open(const std::filesystem::path& folder, std::string_view pipeline,
                                                 const std::function<void(LogLevel, std::string_view)>& log);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// Appends all rows, then keeps to the bounds, in one transaction.
  Result<Trimmed> append(std::span<const RecordedBatch> rows, const Bounds& bounds, Time now);

  /// How much of the file is in use.
  std::uint64_t bytes() const;

 private:
  struct Impl;
  explicit Recording(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Reads a recording, also while it is being written, and never holds the writer up. For one thread at a time.
class RecordingReader {
 public:
  static Result<std::unique_ptr<RecordingReader>> open(const std::filesystem::path& folder, std::string_view pipeline);
  ~RecordingReader();
  RecordingReader(const RecordingReader&) = delete;
  RecordingReader& operator=(const RecordingReader&) = delete;

  /// From the first to the last row there is; nothing if there is none.
  Result<std::optional<std::pair<Time, Time>>> reach();

  /// The names of sources that have rows.
  Result<std::vector<std::string>> sources();

  /// From here on, next() gives the rows with from <= at < to, in the order in which they were recorded.
  Result<void> seek(Time from, Time to);

  /// Nothing after the last.
  Result<std::optional<RecordedBatch>> next();

 private:
  struct Impl;
  explicit RecordingReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::store
