#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "plugins/alert/aggregate.h"
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
  struct Bin {
    std::int32_t bucket;
    std::uint32_t count;
  };
  double at(std::size_t rank) const;

  std::vector<double> sorted_;  ///< from rank `from_` on, as far as it is needed; or
  std::span<const Bin> bins_;   ///< buckets, of a sketch
  std::size_t from_ = 0;
  int bits_ = 0;
  std::size_t size_ = 0;
};

/// The values of one window of one key from which percentiles are told: all of them as long as they are few, then counts in
/// buckets whose width is a share of the value, so that a percentile is within relative_error() of the value at its rank
/// (buckets as in DDSketch, doi 10.14778/3352063.3352135, their bounds taken from the bits of a double; when there are too
/// many, each two become one and the error doubles, as in UDDSketch, arXiv 2004.08604). Counts are whole numbers, so what
/// leaves takes nothing else along.
class Quantiles {
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
  void prefetch() const { sketch_ ? counted_.prefetch() : exact_.prefetch(); }

  std::size_t memory() const { return exact_.memory() + counted_.memory() + bins_.capacity() * sizeof(Bin); }
  void save(Writer& out) const;
  bool load(Reader& in, std::size_t slices);

 private:
  struct Entry {
    std::int32_t bucket : 18;
    std::uint32_t count : 14;
  };
  using Bin = Ranking::Bin;
  static constexpr int finest = 6;  ///< bits of the mantissa that tell buckets apart

  std::int32_t bucket_of(double value) const;
  void count_in(double value);
  std::size_t compress(std::span<Entry> slice) const;
  void fold();
  void select(double share, Ranking& to);
  void put(std::int32_t bucket, std::int64_t count);

  SlicedQueue<double> exact_;
  SlicedQueue<Entry> counted_;
  std::vector<Bin> bins_;  ///< the sum of the first `folded_` entries, by bucket
  std::size_t folded_ = 0;
  std::size_t empty_bins_ = 0;
  std::size_t total_ = 0;      ///< of the bins' counts
  double above_ = null_value;  ///< few values, but enough for the last percentile asked for, were not below it
  bool sketch_ = false;
  int bits_ = finest;
};

}  // namespace millrace::alert
