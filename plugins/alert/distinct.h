#pragma once

#include <cstdint>
#include <span>

#include "plugins/alert/sliced_queue.h"

namespace millrace::alert {

/// How many different values one window of one key holds: exactly as long as they are few, then from those whose hash ends in
/// so many zeros (adaptive sampling, Flajolet 1990), an estimate with a standard error of 1.2 / sqrt(half the limit).
class Distinct {
 public:
  void open() { hashes_.open(); }
  void add(double value, std::size_t most);
  void pop() { hashes_.pop(); }
  void join(std::span<const std::uint32_t> runs) { hashes_.join(runs); }
  void clear();

  double count() const;
  bool estimates() const { return level_ > 0; }

  std::size_t memory() const { return hashes_.memory(); }
  void save(Writer& out) const;
  bool load(Reader& in, std::size_t slices);

 private:
  void make_room_for_more(std::size_t most);
  bool sampled(std::uint64_t hash) const { return (hash & ((1ULL << level_) - 1)) == 0; }

  SlicedQueue<std::uint64_t> hashes_;
  std::uint8_t level_ = 0;
};

}  // namespace millrace::alert
