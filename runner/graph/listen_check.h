#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/graph/definition.h"

namespace millrace::graph {

/// What is wrong with a `listen` whose options read well, and which option says so.
struct ListenProblem {
  std::string_view option;  ///< "address", "tls"
  std::string_view within;  ///< "key" of tls; empty for the option itself
  std::string what;
};

/// Looks at what only the listener knows: addresses, certificates. The graph knows no listener, so whoever makes the Loader
/// brings one; supervise::listen_check() does.
using ListenCheck = std::function<std::vector<ListenProblem>(const Listen&)>;

}  // namespace millrace::graph
