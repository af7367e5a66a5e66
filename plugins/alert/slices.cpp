#include "plugins/alert/slices.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

namespace millrace::alert {

namespace {

/// Room for so many slices stays allocated while a window is empty.
constexpr std::uint32_t worth_keeping = 4;

/// No fewer are made for the sake of finer buckets.
constexpr std::size_t least_slices = 32;

constexpr Micros coarsest = 1LL << 50U;

}  // namespace

SliceLayout::SliceLayout(Shape shape_, const Wanted& wanted)
    : shape(shape_),
      stride(shape_.width()),
      index_at(0),
      time_at(0),
      sketch(wanted.sketch),
      most(static_cast<std::uint32_t>(std::clamp<std::uint64_t>(wanted.most, 2, 1U << 30U))),
      usual(static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted.usual, most))) {
  if (wanted.wide_indices) index_at = static_cast<std::uint8_t>(stride++);
  if (wanted.timed) time_at = static_cast<std::uint8_t>(stride++);
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
  } else if (index > newest_ && (index = on_grid(index)) > newest_) {
    rebase(layout, index);
    if (size_ == layout.most) {
      coarsen(layout, std::max<std::size_t>(2, layout.most / 4 * 3));
      index = on_grid(index);
    }
    if (size_ == layout.most || index <= newest_)
      set_index(layout, last_, std::max(index, newest_));
    else
      open(layout, index, time);
  }
  layout.shape.add(last_, time - origin_, value);
  if (is_null(value)) return;
  if (quantiles_) {
    quantiles_->add(value);
    if (quantiles_->held() > layout.most) make_room(layout);
  }
  if (distinct_) distinct_->add(value, layout.most);
}

void Slices::rebase(const SliceLayout& layout, Micros index) {
  constexpr Micros room = std::numeric_limits<std::uint32_t>::max() / 2;
  if (layout.index_at || index - base_ <= room) return;
  Micros from = index_of(layout, 0);
  for (std::uint32_t i = 0; i < size_; ++i)
    Shape::set_tag(slot(layout, i), static_cast<std::uint32_t>(index_of(layout, i) - from));
  base_ = from;
  assert(index - base_ <= room && "windows longer than this ask for wide indices");
}

void Slices::open(const SliceLayout& layout, Micros index, Micros time) {
  if (size_ == capacity_) grow(layout);
  if (size_ > 0) layout.shape.merge(younger(layout), last_, younger(layout));
  if (grain_ > 1 && size_ < layout.most / 4) grain_ /= 2;
  ++size_;
  renew_last(layout);
  assert(last_ && "there is one slice at least");
  layout.shape.clear(last_);
  if (layout.time_at) last_[layout.time_at].integer = time;
  set_index(layout, last_, index);
  if (layout.shape.needs_quantiles()) {
    if (!quantiles_) quantiles_ = std::make_unique<Quantiles>();
    quantiles_->open(layout.sketch);
  }
  if (layout.shape.needs_distinct()) {
    if (!distinct_) distinct_ = std::make_unique<Distinct>();
    distinct_->open();
  }
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
  renew_last(layout);
}

void Slices::make_room(const SliceLayout& layout) {
  const std::size_t room = std::max<std::size_t>(1, layout.most / 4 * 3);
  quantiles_->sketches() ? quantiles_->compress() : quantiles_->begin_sketch();
  const std::size_t few = std::max<std::size_t>(least_slices, layout.most / 64);
  if (quantiles_->held() > room && size_ > few) coarsen(layout, few);
  while (quantiles_->held() > room && quantiles_->widen()) {
  }
}

void Slices::coarsen(const SliceLayout& layout, std::size_t few) {
  std::vector<std::uint32_t> runs;
  do {
    grain_ *= 2;
    runs.clear();
    Micros before = never_yet;
    for (std::uint32_t i = 0; i < size_; ++i) {
      Micros index = on_grid(index_of(layout, i));
      // What is merged already on one side of the border cannot be joined with what is not on the other.
      if (i > 0 && i != front_ && index == before)
        ++runs.back();
      else
        runs.push_back(1);
      before = index;
    }
  } while (runs.size() > few && grain_ < coarsest);
  if (runs.size() < size_) join(layout, runs);
}

void Slices::join(const SliceLayout& layout, std::span<const std::uint32_t> runs) {
  std::vector<Word> joined(runs.size() * layout.stride);
  std::vector<Micros> indices;
  std::uint32_t at = 0;
  std::uint32_t front = 0;
  for (std::size_t r = 0; r < runs.size(); ++r) {
    Word* to = joined.data() + r * layout.stride;
    std::copy_n(slot(layout, at), layout.stride, to);
    // The older ones hold the merge with all after them already.
    bool merged = at < front_;
    if (merged) ++front;
    for (std::uint32_t i = 1; i < runs[r] && !merged; ++i) layout.shape.merge(to, slot(layout, at + i), to);
    at += runs[r];
    indices.push_back(index_of(layout, at - 1));
  }
  size_ = static_cast<std::uint32_t>(runs.size());
  front_ = front;
  head_ = 0;
  std::copy(joined.begin(), joined.end(), words_.get());
  for (std::uint32_t i = 0; i < size_; ++i) set_index(layout, slot(layout, i), indices[i]);
  renew_last(layout);
  layout.shape.clear(younger(layout));
  for (std::uint32_t i = front_; i + 1 < size_; ++i) layout.shape.merge(younger(layout), slot(layout, i), younger(layout));
  if (quantiles_) quantiles_->join(runs);
  if (distinct_) distinct_->join(runs);
}

void Slices::flip(const SliceLayout& layout) {
  front_ = size_ - 1;
  for (std::uint32_t i = front_ - 1; i-- > 0;) layout.shape.merge(slot(layout, i), slot(layout, i + 1), slot(layout, i));
  layout.shape.clear(younger(layout));
}

void Slices::pop(const SliceLayout& layout) {
  if (front_ == 0 && size_ > 1) flip(layout);
  if (quantiles_) quantiles_->pop();
  if (distinct_) distinct_->pop();
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
  grain_ = 1;
  last_ = nullptr;
  if (capacity_ > worth_keeping) {
    words_.reset();
    capacity_ = 0;
  }
  if (quantiles_) quantiles_->clear();
  if (distinct_) distinct_->clear();
}

void Slices::total(const SliceLayout& layout, Word* total) const {
  const Shape& shape = layout.shape;
  if (size_ == 0) return shape.clear(total);
  if (size_ == 1) {
    std::copy_n(last_, shape.width(), total);
    return;
  }
  bool old_ones = front_ > 0;
  bool young_ones = front_ < size_ - 1;
  if (old_ones && young_ones) {
    shape.merge(slot(layout, 0), younger(layout), total);
    shape.merge(total, last_, total);
    return;
  }
  shape.merge(old_ones ? slot(layout, 0) : younger(layout), last_, total);
}

void Slices::figures(const SliceLayout& layout, std::span<const Aggregate> aggregates, Scratch& scratch,
                     std::vector<double>& to) const {
  using Kind = Aggregate::Kind;
  scratch.words.resize(layout.shape.width());
  total(layout, scratch.words.data());
  bool any = Shape::count(scratch.words.data()) > 0;
  if (any && quantiles_) quantiles_->rank(aggregates, scratch.ranking);
  for (const Aggregate& a : aggregates) {
    if (a.kind == Kind::percentile)
      to.push_back(any ? scratch.ranking.interpolated(a.share) : null_value);
    else if (a.kind == Kind::percentile_discrete)
      to.push_back(any ? scratch.ranking.discrete(a.share) : null_value);
    else if (a.kind == Kind::distinct)
      to.push_back(distinct_ && any ? distinct_->count() : 0);
    else
      to.push_back(layout.shape.result(a, scratch.words.data()));
  }
}

std::size_t Slices::memory(const SliceLayout& layout) const {
  std::size_t bytes = words_ ? (capacity_ + 1) * layout.stride * sizeof(Word) : 0;
  bytes += quantiles_ ? sizeof(Quantiles) + quantiles_->memory() : 0;
  return bytes + (distinct_ ? sizeof(Distinct) + distinct_->memory() : 0);
}

void Slices::save(const SliceLayout& layout, Writer& out) const {
  out.put(size_);
  if (size_ == 0) return;
  out.put(front_);
  out.put(base_);
  out.put(origin_);
  out.put(grain_);
  for (std::uint32_t i = 0; i < size_; ++i) out.raw(slot(layout, i), layout.stride * sizeof(Word));
  out.raw(younger(layout), layout.stride * sizeof(Word));
  if (quantiles_) quantiles_->save(out);
  if (distinct_) distinct_->save(out);
}

bool Slices::load(const SliceLayout& layout, Reader& in) {
  clear();
  auto size = in.get<std::uint32_t>();
  if (size == 0 || size > layout.most) return in.good() && size == 0;
  auto front = in.get<std::uint32_t>();
  auto base = in.get<Micros>();
  auto origin = in.get<Micros>();
  auto grain = in.get<Micros>();
  std::size_t bytes = (std::size_t{size} + 1) * layout.stride * sizeof(Word);
  std::string_view raw = in.bytes(bytes);
  if (!in.good() || front >= size || grain < 1 || grain > coarsest) return false;
  words_ = std::make_unique<Word[]>((std::size_t{size} + 1) * layout.stride);
  std::memcpy(words_.get(), raw.data(), bytes);
  capacity_ = size_ = size;
  front_ = front;
  base_ = base;
  origin_ = origin;
  grain_ = grain;
  renew_last(layout);
  newest_ = index_of(layout, size_ - 1);
  if (layout.shape.needs_quantiles()) {
    quantiles_ = std::make_unique<Quantiles>();
    if (!quantiles_->load(in, size)) return clear(), false;
  }
  if (layout.shape.needs_distinct()) {
    distinct_ = std::make_unique<Distinct>();
    if (!distinct_->load(in, size)) return clear(), false;
  }
  return in.good();
}

}  // namespace millrace::alert
