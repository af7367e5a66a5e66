#include "plugins/signalr/scope.h"

#include <algorithm>

#include "runner/http/identity.h"

namespace millrace::signalr {

Scope::Scope(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    std::size_t star = pattern.find('*');
    if (star == std::string::npos) {
      names_.insert(pattern);
    } else if (star + 1 == pattern.size()) {
      prefixes_.push_back(pattern.substr(0, star));
    } else {
      patterns_.push_back(pattern);
    }
  }
  std::sort(prefixes_.begin(), prefixes_.end());
  // What another covers stands right behind it.
  std::vector<std::string> shortest;
  for (std::string& prefix : prefixes_)
    if (shortest.empty() || !prefix.starts_with(shortest.back())) shortest.push_back(std::move(prefix));
  prefixes_ = std::move(shortest);
}

/// As none is the beginning of another, only the last that is not behind the group can be the group's beginning.
bool Scope::covered_by_prefix(std::string_view group) const {
  auto behind = std::upper_bound(prefixes_.begin(), prefixes_.end(), group);
  return behind != prefixes_.begin() && group.starts_with(*std::prev(behind));
}

bool Scope::covers(std::string_view group) {
  if (names_.contains(group) || covered_by_prefix(group)) return true;
  if (patterns_.empty()) return false;
  if (auto found = verdicts_.find(group); found != verdicts_.end()) return found->second;
  bool covered = std::any_of(patterns_.begin(), patterns_.end(),
                             [&](const auto& pattern) { return http::matches_pattern(pattern, group); });
  if (verdicts_.size() >= most_verdicts) verdicts_.clear();
  verdicts_.emplace(group, covered);
  return covered;
}

}  // namespace millrace::signalr
