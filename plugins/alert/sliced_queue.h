#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "plugins/alert/codec.h"

namespace millrace::alert {

/// Makes room for one more at the end of a vector whose items before `head` have left: by a quarter, or by moving up.
template <class T>
void make_room(std::vector<T>& items, std::size_t& head) {
  if (items.size() < items.capacity()) return;
  std::size_t live = items.size() - head;
  if (head * 8 < items.size()) items.reserve(std::max<std::size_t>(8, live + live / 4));
  items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
  head = 0;
}

/// Items in slices: they enter at the newest slice, and slices leave whole, oldest first. What each push touches comes first,
/// and is no more than this and the end of the items.
template <class T>
class SlicedQueue {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  std::size_t size() const { return items_.size() - head_; }
  std::span<const T> items() const { return std::span(items_).subspan(head_); }
  std::span<T> newest() { return std::span(items_).last(newest_); }

  void open() {
    make_room(sizes_, first_);
    if (first_ < sizes_.size()) sizes_.back() = newest_;
    sizes_.push_back(0);
    newest_ = 0;
  }
  void push(T item) {
    make_room(items_, head_);
    items_.push_back(item);
    ++newest_;
  }
  /// Removes the oldest slice and returns how many items it had.
  std::size_t pop() {
    std::size_t gone = size_of(first_++);
    head_ += gone;
    return gone;
  }
  /// Keeps the first `count` items of the newest slice.
  void shorten(std::size_t count) {
    items_.resize(items_.size() - newest_ + count);
    newest_ = static_cast<std::uint32_t>(count);
  }
  void clear() {
    items_.clear();
    sizes_.clear();
    head_ = first_ = 0;
    newest_ = 0;
  }

  /// Makes one slice of each so many successive ones.
  void join(std::span<const std::uint32_t> runs) {
    std::vector<std::uint32_t> joined;
    std::size_t at = first_;
    for (std::uint32_t run : runs) {
      joined.push_back(0);
      for (std::uint32_t i = 0; i < run; ++i) joined.back() += size_of(at++);
    }
    sizes_ = std::move(joined);
    newest_ = sizes_.back();
    first_ = 0;
  }

  /// Replaces what each slice holds, oldest first: rewrite(span of its items) moves what stays to the span's front and returns
  /// how many that are.
  template <class Rewrite>
  void each_slice(Rewrite&& rewrite) {
    std::size_t from = head_;
    std::size_t to = 0;
    std::size_t kept = 0;
    for (std::size_t i = first_; i < sizes_.size(); ++i) {
      std::span<T> slice = std::span(items_).subspan(from, size_of(i));
      from += slice.size();
      kept = rewrite(slice);
      std::copy_n(slice.begin(), kept, items_.begin() + static_cast<std::ptrdiff_t>(to));
      to += kept;
      sizes_[i] = static_cast<std::uint32_t>(kept);
    }
    newest_ = static_cast<std::uint32_t>(kept);
    items_.resize(to);
    head_ = 0;
  }

  /// The same slices holding other items: one of U for each of these.
  template <class U, class Convert>
  void convert_to(SlicedQueue<U>& other, Convert&& convert) const {
    other.clear();
    std::size_t from = head_;
    for (std::size_t i = first_; i < sizes_.size(); ++i) {
      other.open();
      for (std::uint32_t k = size_of(i); k > 0; --k) other.push(convert(items_[from++]));
    }
  }

  [[gnu::always_inline]] void prefetch() const { __builtin_prefetch(items_.data() + items_.size(), 1); }
  void release() {
    clear();
    items_.shrink_to_fit();
    sizes_.shrink_to_fit();
  }
  std::size_t memory() const { return items_.capacity() * sizeof(T) + sizes_.capacity() * sizeof(std::uint32_t); }

  void save(Writer& out) const {
    out.put(static_cast<std::uint32_t>(sizes_.size() - first_));
    for (std::size_t i = first_; i < sizes_.size(); ++i) out.put(size_of(i));
    out.raw(items_.data() + head_, size() * sizeof(T));
  }
  /// False if the bytes do not hold `slices` slices.
  bool load(Reader& in, std::size_t slices) {
    clear();
    if (in.get<std::uint32_t>() != slices || !in.good()) return false;
    if (!take(in, sizes_, slices)) return false;
    std::uint64_t items = 0;
    for (std::uint32_t size : sizes_) items += size;
    if (take(in, items_, items)) {
      newest_ = sizes_.empty() ? 0 : sizes_.back();
      return true;
    }
    clear();
    return false;
  }

 private:
  template <class V>
  static bool take(Reader& in, std::vector<V>& to, std::uint64_t count) {
    constexpr std::uint64_t most = 1ULL << 32U;
    std::string_view raw = count > most ? std::string_view() : in.bytes(count * sizeof(V));
    if (!in.good() || raw.size() != count * sizeof(V)) return false;
    to.resize(count);
    if (count > 0) std::memcpy(static_cast<void*>(to.data()), raw.data(), raw.size());
    return true;
  }
  std::uint32_t size_of(std::size_t slice) const { return slice + 1 == sizes_.size() ? newest_ : sizes_[slice]; }

  std::vector<T> items_;
  std::size_t head_ = 0;      ///< of items_
  std::uint32_t newest_ = 0;  ///< size of the newest slice, whose place in sizes_ is not kept up to date
  std::size_t first_ = 0;     ///< of sizes_
  std::vector<std::uint32_t> sizes_;
};

}  // namespace millrace::alert
