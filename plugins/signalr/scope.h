#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace millrace::signalr {

class Connection;

/// What connections with equal group patterns may see before they have subscribed to anything: they are one audience, for which
/// frames are made once. Belongs to its hub.
class Scope {
 public:
  explicit Scope(std::vector<std::string> patterns) : patterns_(std::move(patterns)) {}

  /// Whether one of the patterns covers the group. Remembered, as the same groups come again and again.
  bool covers(std::string_view group);

  std::vector<Connection*> members;

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  std::vector<std::string> patterns_;
  std::unordered_map<std::string, bool, TextHash, std::equal_to<>> verdicts_;
};

}  // namespace millrace::signalr
