#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plugins/signalr/text_hash.h"

namespace millrace::signalr {

class Connection;

/// What connections with equal group patterns may see. Those of them that have not subscribed to anything are one audience, for
/// which frames are made once. Belongs to its hub.
class Scope {
 public:
  explicit Scope(const std::vector<std::string>& patterns);

  /// Whether one of the patterns covers the group. Takes as long as two look-ups where patterns have a star at their end, or
  /// none; verdicts of others are remembered, as the same groups come again and again.
  bool covers(std::string_view group);

  std::vector<Connection*> members;  ///< those that have not subscribed
  std::size_t users = 0;             ///< all of them

 private:
  static constexpr std::size_t most_verdicts = 16'384;

  bool covered_by_prefix(std::string_view group) const;

  std::unordered_set<std::string, TextHash, std::equal_to<>> names_;  ///< patterns without a star
  std::vector<std::string> prefixes_;  ///< of patterns with one star, at the end: in order, none the beginning of another
  std::vector<std::string> patterns_;  ///< the others
  std::unordered_map<std::string, bool, TextHash, std::equal_to<>> verdicts_;  ///< of the others
};

}  // namespace millrace::signalr
