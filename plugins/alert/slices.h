#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "plugins/alert/aggregate.h"
#include "plugins/alert/codec.h"

namespace millrace::alert {

/// How the slices of a rule's windows are kept; one for all keys.
struct SliceLayout {
  SliceLayout(Shape shape_, std::uint64_t most_, std::uint64_t usual_, bool wide_indices, bool timed);

  Shape shape;
  std::size_t stride;     ///< words a slice takes
  std::uint8_t index_at;  ///< word of the index, 0 if it fits into the tag of the partial
  std::uint8_t kept_at;   ///< word that counts the values kept of this slice, 0 if none are
  std::uint8_t time_at;   ///< word of the slice's first sample's time, 0 if not kept
  std::uint32_t most;     ///< slices, and values, that a key may hold
  std::uint32_t usual;    ///< slices that a full window of steady data holds
};

/// The samples of one window of one key, in slices of time that enter and leave it whole, oldest first. Two stacks over one
/// ring (Tangwongsan, Hirzel, Schneider: Two-Stacks Lite): the older slices hold the merge of themselves and all after them up
/// to a border, the younger ones are merged in a running total; so each slice costs three merges in its life however the
/// aggregates are built, and a look at the whole window costs two. Empty slices take no room. At the limit of slices the
/// newest takes in what comes; at the limit of values every second is dropped: thinned() then says that figures are estimates.
class Slices {
 public:
  bool empty() const { return size_ == 0; }

  /// Adds to the slice `index`, which is not below newest().
  void add(const SliceLayout& layout, Micros index, Micros time, double value);

  /// Removes the slices up to and including `through`.
  void evict(const SliceLayout& layout, Micros through);
  void clear();

  Micros oldest(const SliceLayout& layout) const { return index_of(layout, 0); }
  /// Time of the first sample of the oldest slice, where the layout is timed.
  Micros oldest_time(const SliceLayout& layout) const { return slot(layout, 0)[layout.time_at].integer; }
  Micros newest() const { return newest_; }

  /// The merge of all slices, into `total` of shape.width() words.
  void total(const SliceLayout& layout, Word* total) const;

  /// All values kept, in order of time.
  std::span<const double> values() const;
  bool thinned() const { return values_ && values_->every > 1; }

  std::size_t memory(const SliceLayout& layout) const;
  void save(const SliceLayout& layout, Writer& out) const;
  bool load(const SliceLayout& layout, Reader& in);

 private:
  struct Values {
    std::vector<double> items;
    std::size_t head = 0;
    std::uint32_t every = 1;  ///< one of so many is kept
    std::uint32_t skipped = 0;
  };

  Word* slot(const SliceLayout& layout, std::uint32_t i) const {
    std::uint32_t at = head_ + i;
    return words_.get() + (at >= capacity_ ? at - capacity_ : at) * layout.stride;
  }
  Word* younger(const SliceLayout& layout) const { return words_.get() + capacity_ * layout.stride; }
  Micros index_of(const SliceLayout& layout, std::uint32_t i) const;
  void set_index(const SliceLayout& layout, Word* slot, Micros index);
  void rebase(const SliceLayout& layout, Micros index);
  void open(const SliceLayout& layout, Micros index, Micros time);
  void grow(const SliceLayout& layout);
  void flip(const SliceLayout& layout);
  void pop(const SliceLayout& layout);
  void keep_value(const SliceLayout& layout, double value);
  void thin(const SliceLayout& layout);

  std::unique_ptr<Word[]> words_;  ///< ring of slices, then the running total of the younger ones
  std::unique_ptr<Values> values_;
  Micros newest_ = never_yet;
  Micros base_ = 0;    ///< what indices in tags count from
  Micros origin_ = 0;  ///< what sample times count from
  std::uint32_t capacity_ = 0, head_ = 0, size_ = 0;
  std::uint32_t front_ = 0;  ///< how many of the oldest slices are merged with their successors; never the newest
};

}  // namespace millrace::alert
