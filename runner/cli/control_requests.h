#pragma once

#include <string>
#include <string_view>

#include "runner/supervise/supervisor.h"

namespace millrace::cli {

/// Does what a request of the control socket asks of a running instance, and returns the answer (control.h). Waits for the
/// stage that it concerns, a few seconds at most.
std::string answer_request(supervise::Supervisor& supervisor, std::string_view request);

}  // namespace millrace::cli
