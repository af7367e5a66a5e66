#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "runner/config/node.h"

namespace millrace::graph {

/// A stage's options in a canonical form with a hash of what stands in the files that it reads. Wiring (`from`, `on_full`,
/// `queue`, `publish`) is left out: it can change without the stage. Holds secrets only as hashes.
std::string fingerprint(const config::Node& stage, const std::vector<std::filesystem::path>& inputs);

}  // namespace millrace::graph
