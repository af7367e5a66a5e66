#pragma once

#include <cstdint>
#include <map>

namespace millrace::store {

/// Which of the numbers 0, 1, 2, ... are done: all below a mark, and some above it. Ranges are half-open.
class SettledSet {
 public:
  explicit SettledSet(std::uint64_t mark = 0) : mark_(mark) {}

  /// Everything below is done.
  std::uint64_t mark() const { return mark_; }

  /// How many at or above the mark are done.
  std::uint64_t above() const { return above_; }

  bool contains(std::uint64_t number) const {
    if (number < mark_) return true;
    auto after = ranges_.upper_bound(number);
    return after != ranges_.begin() && number < std::prev(after)->second;
  }

  /// Adds `first` up to but not including `end`; returns how many of them are new.
  std::uint64_t add(std::uint64_t first, std::uint64_t end);

 private:
  std::uint64_t mark_;
  std::uint64_t above_ = 0;
  std::map<std::uint64_t, std::uint64_t> ranges_;  // first -> end; apart from each other and from the mark
};

}  // namespace millrace::store
