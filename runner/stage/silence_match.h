#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace {

/// Names and texts of an alert's labels.
using AlertLabels = std::vector<std::pair<std::string, std::string>>;

/// Whether the whole of `text` is as the pattern says: `*` stands for any text, `?` for any one character (of UTF-8), and a
/// backslash takes from the character behind it what it would mean. At worst the cost is the product of the lengths.
bool matches_glob(std::string_view pattern, std::string_view text);

/// Whether a silence, in whichever form it is kept, is about that alert: `rule`, `key` and each of `labels` are patterns, an
/// empty rule or key means any, and a label that the alert lacks is an empty text.
template <class S>
bool concerns(const S& silence, std::string_view rule, std::string_view key, const AlertLabels& labels) {
  if (!silence.rule.empty() && !matches_glob(silence.rule, rule)) return false;
  if (!silence.key.empty() && !matches_glob(silence.key, key)) return false;
  return std::all_of(silence.labels.begin(), silence.labels.end(), [&](const auto& wanted) {
    auto found = std::find_if(labels.begin(), labels.end(), [&](const auto& label) { return label.first == wanted.first; });
    return matches_glob(wanted.second, found == labels.end() ? std::string_view() : std::string_view(found->second));
  });
}

}  // namespace millrace
