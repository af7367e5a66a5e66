#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "plugins/alert/aggregate.h"
#include "plugins/alert/codec.h"
#include "plugins/alert/distinct.h"
#include "plugins/alert/quantiles.h"

namespace millrace::alert {

/// How the slices of a rule's windows are kept; one for all keys.
struct SliceLayout {
  struct Wanted {
    std::uint64_t most = 2;     ///< slices, and values, that a key may hold
    std::uint64_t usual = 2;    ///< slices that a full window of steady data holds
    bool wide_indices = false;  ///< indices may lie further apart than 32 bits tell
    bool timed = false;         ///< the time of each slice's first sample is kept
    bool sketch = false;        ///< percentiles are estimated from the first value on
  };
  SliceLayout(Shape shape_, const Wanted& wanted);

  Shape shape;
  std::size_t stride;     ///< words a slice takes
  std::uint8_t index_at;  ///< word of the index, 0 if it fits into the tag of the partial
  std::uint8_t time_at;   ///< word of the slice's first sample's time, 0 if not kept
  bool sketch;
  std::uint32_t most, usual;
};

/// The samples of one window of one key, in slices of time that enter and leave it whole, oldest first. Two stacks over one
/// ring (Tangwongsan, Hirzel, Schneider: Two-Stacks Lite): the older slices hold the merge of themselves and all after them up
/// to a border, the younger ones are merged in a running total; so each slice costs three merges in its life however the
/// aggregates are built, and a look at the whole window costs two. Empty slices take no room.
///
/// At the limit of slices neighbours are joined on a coarser grid: what leaves then leaves up to one step of that grid late. At
/// the limit of values percentiles and the count of different values are estimated; where even so there are too many counts, a
/// coarser grid, of a 64th of the limit, comes before wider buckets.
class Slices {
 public:
  /// What figures() needs besides; shared by whoever asks in turn.
  struct Scratch {
    std::vector<Word> words;
    Ranking ranking;
  };

  bool empty() const { return size_ == 0; }
  std::uint32_t size() const { return size_; }

  /// Adds to the slice `index`, which is not below newest().
  void add(const SliceLayout& layout, Micros index, Micros time, double value);

  /// Removes the slices up to and including `through`.
  void evict(const SliceLayout& layout, Micros through);
  void clear();

  Micros oldest(const SliceLayout& layout) const { return index_of(layout, 0); }
  /// Time of the first sample of the oldest slice, where the layout is timed.
  Micros oldest_time(const SliceLayout& layout) const { return slot(layout, 0)[layout.time_at].integer; }
  Micros newest() const { return newest_; }

  /// Appends the aggregates of all slices to `to`, in their order; null where there is none.
  void figures(const SliceLayout& layout, std::span<const Aggregate> aggregates, Scratch& scratch,
               std::vector<double>& to) const;

  /// How far a percentile may lie from the value at its rank, as a share of it; 0 while all values are held.
  double relative_error() const { return quantiles_ ? quantiles_->relative_error() : 0; }
  /// Whether any figure is an estimate.
  bool estimates() const { return grain_ > 1 || relative_error() > 0 || (distinct_ && distinct_->estimates()); }

  std::size_t memory(const SliceLayout& layout) const;
  void save(const SliceLayout& layout, Writer& out) const;
  bool load(const SliceLayout& layout, Reader& in);

  /// Brings the memory that add() will write to nearer.
  [[gnu::always_inline]] void prefetch() const {
    __builtin_prefetch(last_, 1);
    if (quantiles_)
      __builtin_prefetch(quantiles_.get(), 1), __builtin_prefetch(reinterpret_cast<const char*>(quantiles_.get()) + 64);
  }
  /// And, some time later, what is known only once that is near.
  [[gnu::always_inline]] void prefetch_values() const {
    if (quantiles_) quantiles_->prefetch();
  }
  /// The same for what evict() and figures() will need, in the same two steps.
  [[gnu::always_inline]] void prefetch_oldest(const SliceLayout& layout) const {
    if (capacity_ == 0) return;
    __builtin_prefetch(slot(layout, 0), 1);
    __builtin_prefetch(younger(layout), 1);
  }
  [[gnu::always_inline]] void prefetch_oldest_values() const {
    if (quantiles_) quantiles_->prefetch_oldest();
  }

 private:
  Word* slot(const SliceLayout& layout, std::uint32_t i) const {
    std::uint32_t at = head_ + i;
    return words_.get() + (at >= capacity_ ? at - capacity_ : at) * layout.stride;
  }
  Word* younger(const SliceLayout& layout) const { return words_.get() + capacity_ * layout.stride; }
  Micros index_of(const SliceLayout& layout, std::uint32_t i) const;
  void set_index(const SliceLayout& layout, Word* slot, Micros index);
  Micros on_grid(Micros index) const { return grain_ == 1 ? index : ceil_div(index, grain_) * grain_; }
  void rebase(const SliceLayout& layout, Micros index);
  void open(const SliceLayout& layout, Micros index, Micros time);
  void grow(const SliceLayout& layout);
  void coarsen(const SliceLayout& layout, std::size_t few);
  void make_room(const SliceLayout& layout);
  void join(const SliceLayout& layout, std::span<const std::uint32_t> runs);
  void flip(const SliceLayout& layout);
  void pop(const SliceLayout& layout);
  void total(const SliceLayout& layout, Word* total) const;
  void renew_last(const SliceLayout& layout) { last_ = size_ > 0 ? slot(layout, size_ - 1) : nullptr; }

  // What every record touches comes first.
  Word* last_ = nullptr;  ///< the newest slice
  std::unique_ptr<Quantiles> quantiles_;
  std::unique_ptr<Distinct> distinct_;
  Micros newest_ = never_yet;
  Micros origin_ = 0;  ///< what sample times count from
  std::uint32_t size_ = 0;
  std::uint32_t front_ = 0;        ///< how many of the oldest slices are merged with their successors; never the newest
  std::unique_ptr<Word[]> words_;  ///< ring of slices, then the running total of the younger ones
  std::uint32_t capacity_ = 0, head_ = 0;
  Micros base_ = 0;   ///< what indices in tags count from
  Micros grain_ = 1;  ///< indices of new slices are multiples of it
};

}  // namespace millrace::alert
