#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runner/http/listener.h"
#include "runner/store/store.h"
#include "runner/supervise/running_pipeline.h"

namespace millrace::supervise {

/// What the process counts of itself.
struct ProcessFigures {
  Duration clock_behind{};                    ///< SystemClock::behind()
  std::map<std::string, std::uint64_t> lost;  ///< by pipeline: records under way when it ended that no source keeps
};

/// Everything that the process counts, in Prometheus's text format.
std::string metrics_text(const std::vector<StageView>& stages, const store::Store::Figures* history,
                         const std::vector<const http::Listener*>& listeners, const ProcessFigures& process);

/// A pipeline file that cannot be used as it is.
struct BrokenFile {
  std::string file;
  bool running = false;  ///< an earlier version of it goes on
};

/// Ready: every pipeline that was named runs, and all its stages are connected. A broken file whose earlier version goes on is
/// listed, and does not count: what was served still is; nor does a history that the disk does not take at present. Either
/// makes the status degraded. With a JSON object of how everything stands.
http::Readiness readiness_of(const std::vector<StageView>& stages, const std::vector<BrokenFile>& broken, bool history_paused);

}  // namespace millrace::supervise
