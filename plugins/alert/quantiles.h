#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "plugins/alert/aggregate.h"
#include "plugins/alert/focus.h"
#include "plugins/alert/sliced_queue.h"

namespace millrace::alert {

/// Numbers by rank, for percentiles.
class Ranking {
 public:
  std::size_t size() const { return size_; }

  /// Rank (n - 1) * share, with linear interpolation between neighbours.
  double interpolated(double share) const;
  /// The smallest value with at least this share of all at or below it.
  double discrete(double share) const;

 private:
  friend class Quantiles;
  double at(std::size_t rank) const;

  std::vector<double> sorted_;                         ///< from rank `from_` on, as far as it is needed; or
  std::vector<std::pair<std::size_t, double>> known_;  ///< of a sketch: those ranks that are needed
  std::size_t from_ = 0;
  std::size_t size_ = 0;
};

/// The values of one window of one key from which percentiles are told: all of them as long as they are few, then counts in
/// buckets whose width is a share of the value, so that a percentile is within relative_error() of the value at its rank
/// (buckets as in DDSketch, doi 10.14778/3352063.3352135, their bounds taken from the bits of a double; when there are too
/// many, each two become one and the error doubles, as in UDDSketch, arXiv 2004.08604). Counts are whole numbers, so what
/// leaves takes nothing else along.
///
/// What a sketch holds is a list of buckets in order of arrival, not a histogram: with many keys the cost of a record is how
/// much memory it touches, and of a histogram that is everything. Percentiles are followed by a Focus each; only where one
/// jumps is the list gone through.
class alignas(64) Quantiles {
 public:
  /// `sketch`: buckets from the first value on.
  void open(bool sketch);
  void add(double value) { sketch_ ? count_in(value) : exact_.push(value); }

  /// How many values, or counts of buckets, are held. Whoever adds keeps them few, by each of these in turn: counting instead
  /// of holding, fewer slices, wider buckets; begin_sketch() and join() put together what can be.
  std::size_t held() const { return sketch_ ? counted_.size() : exact_.size(); }
  bool sketches() const { return sketch_; }
  void begin_sketch();
  void compress();
  bool widen();  ///< false if that goes no further
  void pop();
  void join(std::span<const std::uint32_t> runs);
  void clear();

  /// Brings the values into the order that these aggregates need. `to` holds until the next change.
  void rank(std::span<const Aggregate> aggregates, Ranking& to);

  /// 0 while all values are held.
  double relative_error() const;

  /// Brings the memory that add() will write to nearer.
  [[gnu::always_inline]] void prefetch() const { sketch_ ? counted_.prefetch() : exact_.prefetch(); }

  /// And that which pop() and rank() will.
  [[gnu::always_inline]] void prefetch_oldest() const {
    if (!sketch_) return;
    __builtin_prefetch(counted_.items().data());
    for (const Focus& focus : foci_) {
      __builtin_prefetch(&focus, 1);
      __builtin_prefetch(reinterpret_cast<const char*>(&focus) + 64, 1);
    }
  }

  std::size_t memory() const { return exact_.memory() + counted_.memory() + foci_.capacity() * sizeof(Focus); }
  void save(Writer& out) const;
  bool load(Reader& in, std::size_t slices);

 private:
  struct Entry {
    std::int32_t bucket : 18;
    std::uint32_t count : 14;
  };
  static constexpr int finest = 6;  ///< bits of the mantissa that tell buckets apart

  std::int32_t bucket_of(double value) const;
  void count_in(double value);
  std::size_t compress(std::span<Entry> slice) const;
  void unfold();
  void fold();
  void estimate(std::span<const Aggregate> aggregates, Ranking& to);
  void find(std::size_t rank, std::size_t neighbours, std::size_t which, Ranking& to);
  Focus focus_on(std::size_t rank) const;
  std::int32_t next_from(std::int32_t bucket) const;
  void select(double share, Ranking& to);

  bool sketch_ = false;
  std::uint8_t bits_ = finest;
  std::uint32_t folded_ = 0;  ///< how many of the oldest entries the foci, and total_, count
  SlicedQueue<Entry> counted_;
  SlicedQueue<double> exact_;
  std::vector<Focus> foci_;    ///< of each percentile asked for, in their order
  std::size_t total_ = 0;      ///< values that the folded entries stand for
  double above_ = null_value;  ///< few values, but enough for the last percentile asked for, were not below it
};

}  // namespace millrace::alert
