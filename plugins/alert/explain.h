#pragma once

#include <string>
#include <vector>

#include "plugins/alert/options.h"

namespace millrace::alert {

/// Each rule as a line for people, with the boundaries that hold: what it looks at, over which stretch and when, and at which
/// values it raises and ends. For options that passed their checks.
std::vector<std::string> explain(const Options& options);

}  // namespace millrace::alert
