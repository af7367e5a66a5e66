#pragma once

#include <string>
#include <vector>

#include "runner/http/listener.h"
#include "runner/store/store.h"
#include "runner/supervise/running_pipeline.h"

namespace millrace::supervise {

/// Everything that the process counts, in Prometheus's text format.
std::string metrics_text(const std::vector<StageView>& stages, const store::Store::Figures* history,
                         const std::vector<const http::Listener*>& listeners);

/// Whether all stages are connected, with a JSON list of how each stands.
http::Readiness readiness_of(const std::vector<StageView>& stages);

}  // namespace millrace::supervise
