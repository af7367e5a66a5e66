#include "runner/store/settled_set.h"

#include <algorithm>

namespace millrace::store {

std::uint64_t SettledSet::add(std::uint64_t first, std::uint64_t end) {
  first = std::max(first, mark_);
  if (first >= end) return 0;
  const std::uint64_t before = mark_ + above_;
  // Swallow every range that overlaps or touches.
  auto at = ranges_.upper_bound(first);
  if (at != ranges_.begin() && std::prev(at)->second >= first) --at;
  while (at != ranges_.end() && at->first <= end) {
    first = std::min(first, at->first);
    end = std::max(end, at->second);
    above_ -= at->second - at->first;
    at = ranges_.erase(at);
  }
  if (first == mark_) {
    mark_ = end;
  } else {
    ranges_.emplace_hint(at, first, end);
    above_ += end - first;
  }
  return mark_ + above_ - before;
}

}  // namespace millrace::store
