#include "runner/http/identity.h"

#include <algorithm>
#include <array>
#include <utility>

namespace millrace::http {
namespace {

constexpr std::array<std::pair<std::string_view, Right>, 3> names{
    {{"read", Right::read}, {"ack", Right::ack}, {"command", Right::command}}};

}  // namespace

std::optional<Right> right_named(std::string_view name) {
  for (const auto& [text, right] : names)
    if (text == name) return right;
  return std::nullopt;
}

std::vector<std::string_view> names_of(Rights rights) {
  std::vector<std::string_view> list;
  for (const auto& [text, right] : names)
    if (rights.has(right)) list.push_back(text);
  return list;
}

bool Identity::may_join(std::string_view group) const {
  return std::any_of(groups.begin(), groups.end(), [&](const auto& pattern) { return matches_pattern(pattern, group); });
}

bool Identity::any_group() const { return std::find(groups.begin(), groups.end(), "*") != groups.end(); }

bool matches_pattern(std::string_view pattern, std::string_view text) {
  // Greedy with one step back: only the last star ever has to give way.
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace millrace::http
