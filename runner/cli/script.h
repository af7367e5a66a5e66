#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "runner/config/node.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/error.h"
#include "runner/stage/record.h"
#include "runner/supervise/virtual_run.h"

namespace millrace::cli {

/// One input of a run in virtual time.
struct ScriptItem {
  struct Records {
    Batch batch;
    std::string source;  ///< "" for the pipeline's first
  };
  struct Acknowledge {
    std::string key, rule, by;
  };
  struct Silence {
    millrace::Silence silence;
  };
  struct Unsilence {
    millrace::Silence which;
  };
  struct Restart {
    Time down{}, up{};
    supervise::VirtualRun::Windows windows = supervise::VirtualRun::Windows::kept;
  };
  struct Outage {
    std::string sink;
    Time until{};
  };
  struct Reload {
    std::filesystem::path file;
    std::shared_ptr<const graph::Pipeline> pipeline;  ///< as the file has it
  };
  struct Tick {};
  struct Flush {};

  std::optional<Time> at;  ///< when the clock stands there; none: where it stands already
  std::variant<Records, Acknowledge, Silence, Unsilence, Restart, Outage, Reload, Tick, Flush> what;
};

/// Why something is no input.
struct ScriptError {
  std::string member;  ///< the member that is wrong; empty: the input as a whole
  std::string what;    ///< names the member
};

/// Reads the inputs of a run in virtual time: entries of a test's `input`, and lines of a file for `millrace replay`. Both take
/// the same, docs/testing.md lists it:
/// - a record, `{time, device, fields, arrival, kind, meta, into}`, or short `{at, device, into}` with all else as fields;
/// - a control, which names itself: `start`, `tick`, `flush`, `ack`, `silence`, `unsilence`, `restart`, `outage`, `reload`.
/// A time is a number of milliseconds since the epoch, a text as RFC 3339 has it, or a duration from the start.
class ScriptReader {
 public:
  using Item = boost::system::result<ScriptItem, ScriptError>;

  /// For a test that begins at `start` unless its first input is a `start`, without which a time may not be a bare number.
  /// `loader` reads the files of reloads, which are named relative to `folder`.
  static ScriptReader of_test(const graph::Loader& loader, std::filesystem::path folder, Time start);

  /// For a file; durations count from its first input.
  static ScriptReader of_file(const graph::Loader& loader, std::filesystem::path folder);

  /// An entry of a test; unknown members are errors.
  Item entry(const config::Node& node);

  /// A line of a file: a JSON object. Members of a record that mean nothing here are passed over.
  Item line(std::string_view json);

  /// What durations count from; none before a file's first input.
  std::optional<Time> start() const { return start_; }

 private:
  ScriptReader(const graph::Loader& loader, std::filesystem::path folder, std::optional<Time> start, bool numbers)
      : loader_(&loader), folder_(std::move(folder)), start_(start), numbers_(numbers) {}

  Item item(const FieldList& input, Batch batch);

  const graph::Loader* loader_;
  std::filesystem::path folder_;
  std::optional<Time> start_;
  bool numbers_;       ///< a bare number is a time
  bool first_ = true;  ///< nothing has been read
};

/// Moves the clock to the item's time and does what it says.
Result<void> apply(ScriptItem item, supervise::VirtualRun& run);

/// A YAML node as a record's value, typed as YAML types plain scalars; its texts live in `arena`.
Value value_of(const config::Node& node, Arena& arena);

}  // namespace millrace::cli
