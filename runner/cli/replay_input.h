#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "runner/cli/script.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"
#include "runner/store/recording.h"

namespace millrace::cli {

/// What a replay puts into a pipeline, one item after the other.
class ReplayInput {
 public:
  virtual ~ReplayInput() = default;

  /// Nothing after the last; an error names its place.
  virtual Result<std::optional<ScriptItem>> next() = 0;

  /// Where the last item came from, for errors in applying it: "file:line: ", or empty.
  virtual std::string place() const = 0;

  /// Whether the end is the end of all input, so that open windows are to fire.
  virtual bool ends() const = 0;
};

/// A file of lines, as ScriptReader takes them.
Result<std::unique_ptr<ReplayInput>> file_input(const std::filesystem::path& file, const graph::Loader& loader);

/// A stretch of a recording.
struct RecordedStretch {
  std::filesystem::path data;  ///< the data folder
  std::string pipeline;        ///< whose recording
  std::optional<Time> from, to;
  Duration warm_up{};       ///< what the recording has of so long before `from` goes ahead of it
  std::optional<Time> end;  ///< where the clock is to stand at the end
  Time now{};
};

/// What the recording has of the stretch, and what is not there: where the process had been down, the pipeline is restarted;
/// the clock ends at `to`, or, without one, at the last record, or now if an instance is running. Batches of a source that
/// `into` lacks go into its only one; an error if it has several. What the stretch leaves open is filled in, so that a second
/// call gives the same.
Result<std::unique_ptr<ReplayInput>> recorded_input(RecordedStretch& stretch, const graph::Pipeline& into);

}  // namespace millrace::cli
