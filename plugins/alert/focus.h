#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace millrace::alert {

/// Where one percentile of values counted in buckets lies: counts of the few buckets around it, and of all before those. What
/// enters or leaves costs the same however many there are, and touches two cache lines; as long as the percentile stays among
/// these buckets nobody has to look at anything else. Once it has left, whoever holds the counts makes another Focus.
class Focus {
 public:
  using Bucket = std::int32_t;

  /// With `center` in the middle, and nothing counted yet.
  explicit Focus(Bucket center) : from_(center - width / 2) {}

  /// `count` more, or fewer, of that bucket.
  void add(Bucket bucket, std::int32_t count) {
    Bucket at = bucket - from_;
    if (at < 0)
      before_ += static_cast<std::uint64_t>(static_cast<std::int64_t>(count));
    else if (at < width)
      counts_[static_cast<std::size_t>(at)] += static_cast<std::uint32_t>(count);
  }

  /// The bucket in which the value of that rank lies, counted from 0; nothing if it is none of these.
  std::optional<Bucket> at(std::size_t rank) const {
    if (rank < before_) return std::nullopt;
    std::size_t left = rank - before_;
    for (Bucket i = 0; i < width; ++i) {
      const std::uint32_t count = counts_[static_cast<std::size_t>(i)];
      if (left < count) return from_ + i;
      left -= count;
    }
    return std::nullopt;
  }

  /// The first bucket behind these.
  Bucket end() const { return from_ + width; }

  void clear() {
    before_ = 0;
    counts_.fill(0);
  }

 private:
  static constexpr Bucket width = 28;

  std::uint64_t before_ = 0;
  Bucket from_;
  std::array<std::uint32_t, width> counts_{};
};

}  // namespace millrace::alert
