#include "plugins/signalr/scope.h"

#include <algorithm>

#include "runner/http/identity.h"

namespace millrace::signalr {
namespace {

constexpr std::size_t most_verdicts = 100'000;

}  // namespace

bool Scope::covers(std::string_view group) {
  if (auto found = verdicts_.find(group); found != verdicts_.end()) return found->second;
  bool covered = std::any_of(patterns_.begin(), patterns_.end(),
                             [&](const auto& pattern) { return http::matches_pattern(pattern, group); });
  if (verdicts_.size() >= most_verdicts) verdicts_.clear();
  verdicts_.emplace(group, covered);
  return covered;
}

}  // namespace millrace::signalr
