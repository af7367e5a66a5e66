#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runner/config/node.h"

namespace millrace::config {

/// What a pipeline file may be at most; beyond it the file is refused (an alias bomb of 400 bytes expands to millions of
/// nodes).
struct YamlLimits {
  std::size_t bytes = 1'000'000;
  std::size_t nodes = 100'000;  ///< with every alias expanded
  std::size_t depth = 32;
};

/// Parses one YAML document. Duplicate keys, several documents, and anything beyond the limits are problems. If the result is
/// empty there is at least one problem; the converse does not hold.
std::optional<Node> parse_yaml(std::string_view text, Problems& problems, YamlLimits limits = {});

/// Looks up what `${NAME}` stands for.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// The process's environment.
Environment process_environment();

/// Replaces `${NAME}`, `${NAME:-default}`, `${file:PATH}` and `${cred:NAME}` inside string values, never in keys: a value
/// cannot change the structure. `$${` stands for a plain `${`. Unset names without a default are problems.
void substitute(Node& node, const Environment& environment, Problems& problems);

}  // namespace millrace::config
