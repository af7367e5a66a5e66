#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace millrace::signalr {

/// Lets a map of texts be asked without a copy of the text.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};

}  // namespace millrace::signalr
