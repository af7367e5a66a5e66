#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "runner/config/node.h"

namespace YAML {
class Exception;
}

namespace millrace::config {

/// Why a text is not YAML, in the words of a person who typed it, and where the mistake is likely to be.
struct YamlTrouble {
  Position at;
  std::string what;
};

/// From what the library has thrown. Looks at the text once more, at the cost of parsing it.
YamlTrouble trouble_of(std::string_view text, const YAML::Exception& e);

/// Whether the last scalar of a text, which begins at that line and byte, counted from 0, is in quotes that nothing closes: the
/// library takes the text's end for theirs.
std::optional<YamlTrouble> open_quote(std::string_view text, int line, int byte);

}  // namespace millrace::config
