#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "runner/config/node.h"
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
  struct Tick {};
  struct Flush {};

  Time at{};  ///< when the clock stands there; ignored by a flush
  std::variant<Records, Acknowledge, Silence, Unsilence, Restart, Tick, Flush> what;
};

/// An entry of a test's `input`, its times counted from `start`: a record (`at`, `device`, `into`, all else are fields) or a
/// control, which names itself: `tick`, `flush`, `ack`, `silence`, `unsilence`, `restart`.
Result<ScriptItem> script_item(const config::Node& node, Time start);

/// A line of a recording for `millrace replay`, its times in milliseconds since the epoch: a record as the hub's clients
/// receive it, with `arrival` where that differs, or a control, as above and `start`.
Result<ScriptItem> script_item(std::string_view json_line);

/// Moves the clock to the item's time and does what it says.
Result<void> apply(ScriptItem item, supervise::VirtualRun& run);

/// A YAML node as a record's value, typed as YAML types plain scalars; its texts live in `arena`.
Value value_of(const config::Node& node, Arena& arena);

}  // namespace millrace::cli
