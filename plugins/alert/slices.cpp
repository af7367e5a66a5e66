#include "plugins/alert/slices.h"

#include <algorithm>
#include <cassert>
#include <limits>

namespace millrace::alert {

namespace {

/// Room for so many slices stays allocated while a window is empty.
constexpr std::uint32_t worth_keeping = 4;

}  // namespace

SliceLayout::SliceLayout(Shape shape_, std::uint64_t most_, std::uint64_t usual_, bool wide_indices, bool timed)
    : shape(shape_),
      stride(shape_.width()),
      index_at(0),
      kept_at(0),
      time_at(0),
      most(static_cast<std::uint32_t>(std::clamp<std::uint64_t>(most_, 2, 1U << 30U))),
      usual(static_cast<std::uint32_t>(std::min<std::uint64_t>(usual_, most))) {
  if (wide_indices) index_at = static_cast<std::uint8_t>(stride++);
  if (timed) time_at = static_cast<std::uint8_t>(stride++);
  if (shape.needs_values()) kept_at = static_cast<std::uint8_t>(stride++);
}

Micros Slices::index_of(const SliceLayout& layout, std::uint32_t i) const {
  const Word* s = slot(layout, i);
  return layout.index_at ? s[layout.index_at].integer : base_ + static_cast<Micros>(Shape::tag(s));
}

void Slices::set_index(const SliceLayout& layout, Word* s, Micros index) {
  newest_ = index;
  if (layout.index_at)
    s[layout.index_at].integer = index;
  else
    Shape::set_tag(s, static_cast<std::uint32_t>(index - base_));
}

void Slices::add(const SliceLayout& layout, Micros index, Micros time, double value) {
  if (size_ == 0) {
    origin_ = time;
    base_ = index;
    if (capacity_ > 0) layout.shape.clear(younger(layout));
    open(layout, index, time);
  } else if (index > newest_) {
    rebase(layout, index);
    if (size_ == layout.most)
      set_index(layout, slot(layout, size_ - 1), index);
    else
      open(layout, index, time);
  }
  layout.shape.add(slot(layout, size_ - 1), time - origin_, value);
  if (layout.kept_at && !is_null(value)) keep_value(layout, value);
}

void Slices::rebase(const SliceLayout& layout, Micros index) {
  constexpr Micros room = std::numeric_limits<std::uint32_t>::max();
  if (layout.index_at || index - base_ <= room) return;
  Micros from = index_of(layout, 0);
  for (std::uint32_t i = 0; i < size_; ++i)
    Shape::set_tag(slot(layout, i), static_cast<std::uint32_t>(index_of(layout, i) - from));
  base_ = from;
  assert(index - base_ <= room && "windows longer than this ask for wide indices");
}

void Slices::open(const SliceLayout& layout, Micros index, Micros time) {
  if (size_ == capacity_) grow(layout);
  if (size_ > 0) layout.shape.merge(younger(layout), slot(layout, size_ - 1), younger(layout));
  ++size_;
  Word* s = slot(layout, size_ - 1);
  layout.shape.clear(s);
  if (layout.kept_at) s[layout.kept_at].integer = 0;
  if (layout.time_at) s[layout.time_at].integer = time;
  set_index(layout, s, index);
}

void Slices::grow(const SliceLayout& layout) {
  std::uint32_t capacity = std::max<std::uint32_t>(2, capacity_ + capacity_ / 2);
  if (capacity_ < layout.usual) capacity = std::min(capacity, layout.usual);
  auto words = std::make_unique<Word[]>((capacity + 1) * layout.stride);
  for (std::uint32_t i = 0; i < size_; ++i) std::copy_n(slot(layout, i), layout.stride, words.get() + i * layout.stride);
  if (capacity_ > 0)
    std::copy_n(younger(layout), layout.stride, words.get() + capacity * layout.stride);
  else
    layout.shape.clear(words.get() + capacity * layout.stride);
  words_ = std::move(words);
  capacity_ = capacity;
  head_ = 0;
}

void Slices::flip(const SliceLayout& layout) {
  front_ = size_ - 1;
  for (std::uint32_t i = front_ - 1; i-- > 0;) layout.shape.merge(slot(layout, i), slot(layout, i + 1), slot(layout, i));
  layout.shape.clear(younger(layout));
}

void Slices::pop(const SliceLayout& layout) {
  if (front_ == 0 && size_ > 1) flip(layout);
  if (values_) values_->head += static_cast<std::size_t>(slot(layout, 0)[layout.kept_at].integer);
  head_ = head_ + 1 == capacity_ ? 0 : head_ + 1;
  --size_;
  if (front_ > 0) --front_;
}

void Slices::evict(const SliceLayout& layout, Micros through) {
  if (size_ == 0) return;
  if (newest_ <= through) return clear();
  while (index_of(layout, 0) <= through) pop(layout);
}

void Slices::clear() {
  size_ = front_ = head_ = 0;
  if (capacity_ > worth_keeping) {
    words_.reset();
    capacity_ = 0;
  }
  if (values_) {
    values_->items.clear();
    values_->head = 0;
    values_->every = 1;
    values_->skipped = 0;
  }
}

void Slices::total(const SliceLayout& layout, Word* total) const {
  const Shape& shape = layout.shape;
  if (size_ == 0) return shape.clear(total);
  const Word* newest = slot(layout, size_ - 1);
  if (size_ == 1) {
    std::copy_n(newest, shape.width(), total);
    return;
  }
  bool old_ones = front_ > 0;
  bool young_ones = front_ < size_ - 1;
  if (old_ones && young_ones) {
    shape.merge(slot(layout, 0), younger(layout), total);
    shape.merge(total, newest, total);
    return;
  }
  shape.merge(old_ones ? slot(layout, 0) : younger(layout), newest, total);
}

std::span<const double> Slices::values() const {
  if (!values_) return {};
  return std::span(values_->items).subspan(values_->head);
}

void Slices::keep_value(const SliceLayout& layout, double value) {
  if (!values_) values_ = std::make_unique<Values>();
  Values& v = *values_;
  if (++v.skipped < v.every) return;
  v.skipped = 0;
  if (v.items.size() == v.items.capacity()) {
    std::size_t live = v.items.size() - v.head;
    if (v.head * 8 < v.items.size()) v.items.reserve(std::max<std::size_t>(8, live + live / 4));
    v.items.erase(v.items.begin(), v.items.begin() + static_cast<std::ptrdiff_t>(v.head));
    v.head = 0;
  }
  v.items.push_back(value);
  ++slot(layout, size_ - 1)[layout.kept_at].integer;
  if (v.items.size() - v.head > layout.most) thin(layout);
}

void Slices::thin(const SliceLayout& layout) {
  Values& v = *values_;
  std::size_t from = v.head;
  std::size_t to = 0;
  std::size_t seen = 0;
  for (std::uint32_t i = 0; i < size_; ++i) {
    std::int64_t& kept = slot(layout, i)[layout.kept_at].integer;
    std::size_t before = to;
    for (std::int64_t k = 0; k < kept; ++k, ++from, ++seen)
      if (seen % 2 == 0) v.items[to++] = v.items[from];
    kept = static_cast<std::int64_t>(to - before);
  }
  v.items.resize(to);
  v.head = 0;
  v.every *= 2;
}

std::size_t Slices::memory(const SliceLayout& layout) const {
  std::size_t bytes = words_ ? (capacity_ + 1) * layout.stride * sizeof(Word) : 0;
  return bytes + (values_ ? sizeof(Values) + values_->items.capacity() * sizeof(double) : 0);
}

void Slices::save(const SliceLayout& layout, Writer& out) const {
  out.put(size_);
  if (size_ == 0) return;
  out.put(front_);
  out.put(base_);
  out.put(origin_);
  for (std::uint32_t i = 0; i < size_; ++i) out.raw(slot(layout, i), layout.stride * sizeof(Word));
  out.raw(younger(layout), layout.stride * sizeof(Word));
  if (!layout.kept_at) return;
  std::span<const double> kept = values();
  out.put(static_cast<std::uint32_t>(kept.size()));
  out.put(values_ ? values_->every : 1U);
  out.raw(kept.data(), kept.size_bytes());
}

bool Slices::load(const SliceLayout& layout, Reader& in) {
  clear();
  auto size = in.get<std::uint32_t>();
  if (size == 0 || size > layout.most) return in.good() && size == 0;
  auto front = in.get<std::uint32_t>();
  auto base = in.get<Micros>();
  auto origin = in.get<Micros>();
  std::size_t bytes = (std::size_t{size} + 1) * layout.stride * sizeof(Word);
  std::string_view raw = in.bytes(bytes);
  if (!in.good() || front >= size) return false;
  words_ = std::make_unique<Word[]>((std::size_t{size} + 1) * layout.stride);
  std::memcpy(words_.get(), raw.data(), bytes);
  capacity_ = size_ = size;
  front_ = front;
  base_ = base;
  origin_ = origin;
  newest_ = index_of(layout, size_ - 1);
  if (layout.kept_at) {
    auto count = in.get<std::uint32_t>();
    auto every = in.get<std::uint32_t>();
    std::string_view kept = in.bytes(std::size_t{count} * sizeof(double));
    if (!in.good() || every == 0) return clear(), false;
    values_ = std::make_unique<Values>();
    values_->items.resize(count);
    if (count > 0) std::memcpy(values_->items.data(), kept.data(), kept.size());
    values_->every = every;
    std::int64_t sum = 0;
    for (std::uint32_t i = 0; i < size_; ++i) sum += slot(layout, i)[layout.kept_at].integer;
    if (sum != count) return clear(), false;
  }
  return true;
}

}  // namespace millrace::alert
