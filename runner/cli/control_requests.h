#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "runner/api/alert_actions.h"

namespace millrace::cli {

/// Does what a request of the control socket asks of a running instance, and returns the answer (control.h). Waits for the
/// stages that it concerns, no longer than `patience`.
std::string answer_request(api::AlertActions& actions, std::string_view request,
                           std::chrono::milliseconds patience = std::chrono::seconds(5));

}  // namespace millrace::cli
