#include "plugins/alert/quantiles.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace millrace::alert {

namespace {

using Kind = Aggregate::Kind;

constexpr int mantissa_bits = 52;
constexpr std::uint32_t largest_count = (1U << 14U) - 1;
/// A slice of fewer entries is not worth sorting.
constexpr std::size_t worth_compressing = 16;

bool ranks(const Aggregate& a) { return a.kind == Kind::percentile || a.kind == Kind::percentile_discrete; }

std::size_t lower_rank(std::size_t size, double share) {
  return static_cast<std::size_t>(static_cast<double>(size - 1) * share);
}

double middle_of(std::int32_t bucket, int bits) {
  std::int32_t magnitude = bucket < 0 ? -1 - bucket : bucket;
  auto bound = [&](std::int32_t m) { return std::bit_cast<double>(static_cast<std::uint64_t>(m) << (mantissa_bits - bits)); };
  double low = bound(magnitude);
  double high = bound(magnitude + 1);
  double middle = magnitude == 0 ? 0 : std::isfinite(high) ? low + (high - low) / 2 : low;
  return bucket < 0 ? -middle : middle;
}

std::size_t discrete_rank(std::size_t size, double share) {
  // A share such as 0.07 of 100 values must not become the eighth by rounding.
  double wanted = std::ceil(share * static_cast<double>(size) - 1e-9);
  return std::min(static_cast<std::size_t>(std::max(1.0, wanted)), size) - 1;
}

}  // namespace

double Ranking::at(std::size_t rank) const {
  if (known_.empty()) return sorted_[rank - from_];
  return std::find_if(known_.begin(), known_.end(), [rank](const auto& known) { return known.first == rank; })->second;
}

double Ranking::interpolated(double share) const {
  std::size_t below = lower_rank(size_, share);
  double low = at(below);
  if (below + 1 >= size_) return low;
  double rank = static_cast<double>(size_ - 1) * share;
  return low + (rank - static_cast<double>(below)) * (at(below + 1) - low);
}

double Ranking::discrete(double share) const { return at(discrete_rank(size_, share)); }

void Quantiles::open(bool sketch) {
  sketch_ = sketch_ || sketch;
  if (!sketch_) return exact_.open();
  // What is counted twice in a slice that is full now is put together, unless only part of it is folded.
  if (counted_.size() > 0) {
    std::span<Entry> last = counted_.newest();
    bool all_folded = folded_ == counted_.size();
    if (last.size() > worth_compressing && (all_folded || folded_ + last.size() <= counted_.size())) {
      counted_.shorten(compress(last));
      if (all_folded) folded_ = static_cast<std::uint32_t>(counted_.size());
    }
  }
  counted_.open();
}

void Quantiles::count_in(double value) {
  std::int32_t bucket = bucket_of(value);
  std::span<Entry> slice = counted_.newest();
  bool again = !slice.empty() && slice.back().bucket == bucket && slice.back().count < largest_count;
  if (again && folded_ < counted_.size()) {
    slice.back().count = slice.back().count + 1;
    return;
  }
  counted_.push({bucket, 1});
}

void Quantiles::begin_sketch() {
  sketch_ = true;
  exact_.convert_to(counted_, [this](double value) { return Entry{bucket_of(value), 1}; });
  exact_.release();
  compress();
}

void Quantiles::pop() {
  if (!sketch_) {
    exact_.pop();
    return;
  }
  std::span<const Entry> before = counted_.items();
  const auto gone = static_cast<std::uint32_t>(std::min<std::size_t>(counted_.pop(), folded_));
  for (const Entry& entry : before.first(gone)) {
    total_ -= entry.count;
    for (Focus& focus : foci_) focus.add(entry.bucket, -static_cast<std::int32_t>(entry.count));
  }
  folded_ -= gone;
}

void Quantiles::join(std::span<const std::uint32_t> runs) {
  if (!sketch_) return exact_.join(runs);
  counted_.join(runs);
  compress();
}

void Quantiles::clear() {
  exact_.clear();
  counted_.clear();
  if (bits_ != finest) foci_.clear();
  // The next contents of the window lie where these did, as a rule.
  for (Focus& focus : foci_) focus.clear();
  folded_ = 0;
  total_ = 0;
  above_ = null_value;
  sketch_ = false;
  bits_ = finest;
}

void Quantiles::unfold() {
  foci_.clear();
  folded_ = 0;
  total_ = 0;
}

std::int32_t Quantiles::bucket_of(double value) const {
  auto magnitude = static_cast<std::int32_t>(std::bit_cast<std::uint64_t>(std::abs(value)) >> (mantissa_bits - bits_));
  return value < 0 ? -1 - magnitude : magnitude;
}

double Quantiles::relative_error() const { return sketch_ ? std::ldexp(1.0, -(bits_ + 1)) : 0; }

std::size_t Quantiles::compress(std::span<Entry> slice) const {
  std::sort(slice.begin(), slice.end(), [](const Entry& a, const Entry& b) { return a.bucket < b.bucket; });
  std::size_t to = 0;
  for (std::size_t i = 0; i < slice.size(); ++i) {
    bool same = to > 0 && slice[to - 1].bucket == slice[i].bucket;
    if (same && std::uint32_t{slice[to - 1].count} + slice[i].count <= largest_count)
      slice[to - 1].count = slice[to - 1].count + slice[i].count;
    else
      slice[to++] = slice[i];
  }
  return to;
}

void Quantiles::compress() {
  counted_.each_slice([this](std::span<Entry> slice) { return compress(slice); });
  unfold();
}

bool Quantiles::widen() {
  if (bits_ == 0) return false;
  --bits_;
  counted_.each_slice([this](std::span<Entry> slice) {
    for (Entry& entry : slice) entry.bucket = entry.bucket >> 1;
    return compress(slice);
  });
  unfold();
  return true;
}

void Quantiles::fold() {
  std::span<const Entry> entries = counted_.items();
  for (const Entry& entry : entries.subspan(folded_)) {
    total_ += entry.count;
    for (Focus& focus : foci_) focus.add(entry.bucket, static_cast<std::int32_t>(entry.count));
  }
  folded_ = static_cast<std::uint32_t>(entries.size());
}

/// By halves of the buckets' bits: two looks at everything, however the values lie, and one to count.
Focus Quantiles::focus_on(std::size_t rank) const {
  constexpr unsigned half = 9;
  constexpr std::int32_t lowest = -(1 << (2 * half - 1));
  std::array<std::uint32_t, 1U << half> counts{};
  auto place = [](const Entry& entry) { return static_cast<std::uint32_t>(entry.bucket - lowest); };
  auto take = [&] {
    std::uint32_t at = 0;
    for (; rank >= counts[at]; ++at) rank -= counts[at];
    return at;
  };
  for (const Entry& entry : counted_.items()) counts[place(entry) >> half] += entry.count;
  const std::uint32_t upper = take();
  counts.fill(0);
  for (const Entry& entry : counted_.items())
    if (place(entry) >> half == upper) counts[place(entry) & ((1U << half) - 1)] += entry.count;
  Focus focus(static_cast<std::int32_t>(upper << half | take()) + lowest);
  for (const Entry& entry : counted_.items()) focus.add(entry.bucket, static_cast<std::int32_t>(entry.count));
  return focus;
}

std::int32_t Quantiles::next_from(std::int32_t bucket) const {
  std::int32_t next = std::numeric_limits<std::int32_t>::max();
  for (const Entry& entry : counted_.items())
    if (entry.bucket >= bucket) next = std::min<std::int32_t>(next, entry.bucket);
  return next;
}

/// Tells the values at `rank` and, with two `neighbours`, at the next, looking with the focus `which`.
void Quantiles::find(std::size_t rank, std::size_t neighbours, std::size_t which, Ranking& to) {
  if (which == foci_.size()) foci_.push_back(focus_on(rank));
  Focus& focus = foci_[which];
  std::optional<std::int32_t> bucket = focus.at(rank);
  if (!bucket) {
    focus = focus_on(rank);
    bucket = focus.at(rank);
  }
  to.known_.emplace_back(rank, middle_of(*bucket, bits_));
  if (neighbours < 2 || rank + 1 >= total_) return;
  bucket = focus.at(rank + 1);
  // Where there is a gap just above the percentile.
  if (!bucket) bucket = next_from(focus.end());
  to.known_.emplace_back(rank + 1, middle_of(*bucket, bits_));
}

void Quantiles::estimate(std::span<const Aggregate> aggregates, Ranking& to) {
  fold();
  to.size_ = total_;
  std::size_t which = 0;
  for (const Aggregate& a : aggregates) {
    if (a.kind == Kind::percentile) find(lower_rank(total_, a.share), 2, which++, to);
    if (a.kind == Kind::percentile_discrete) find(discrete_rank(total_, a.share), 1, which++, to);
  }
}

void Quantiles::rank(std::span<const Aggregate> aggregates, Ranking& to) {
  to.from_ = 0;
  to.known_.clear();
  if (sketch_) return estimate(aggregates, to);
  to.size_ = exact_.size();
  const Aggregate* only = nullptr;
  std::size_t wanted = 0;
  for (const Aggregate& a : aggregates) {
    if (!ranks(a)) continue;
    only = &a;
    ++wanted;
  }
  if (wanted == 1 && only->kind == Kind::percentile && to.size_ > 1) return select(only->share, to);
  to.sorted_.assign(exact_.items().begin(), exact_.items().end());
  std::sort(to.sorted_.begin(), to.sorted_.end());
}

/// One interpolated percentile looks at two neighbours only. For a high one it is enough to order those values that are not
/// below a bound which held for it the last time, if there still are enough of them.
void Quantiles::select(double share, Ranking& to) {
  std::span<const double> all = exact_.items();
  std::vector<double>& values = to.sorted_;
  values.resize(all.size());
  const std::size_t below = lower_rank(all.size(), share);
  const std::size_t needed = all.size() - below;
  auto place = [&](std::size_t i) { return values.begin() + static_cast<std::ptrdiff_t>(i); };
  std::size_t kept = 0;
  if (!is_null(above_) && share > 0.5) {
    for (double value : all) {
      values[kept] = value;
      kept += value >= above_ ? 1 : 0;
    }
  }
  bool enough = kept >= needed;
  if (!enough) {
    std::copy(all.begin(), all.end(), values.begin());
    kept = all.size();
  }
  to.from_ = all.size() - kept;
  auto rank = place(kept - needed);
  std::nth_element(values.begin(), rank, place(kept));
  if (needed > 1) std::iter_swap(rank + 1, std::min_element(rank + 1, place(kept)));
  if (share <= 0.5 || (enough && kept < 4 * needed)) return;
  auto spare = place(kept - std::min(kept, 2 * needed));
  std::nth_element(values.begin(), spare, rank);
  above_ = *spare;
}

void Quantiles::save(Writer& out) const {
  out.put(sketch_);
  out.put(static_cast<std::uint8_t>(bits_));
  sketch_ ? counted_.save(out) : exact_.save(out);
}

bool Quantiles::load(Reader& in, std::size_t slices) {
  clear();
  sketch_ = in.get<std::uint8_t>() != 0;
  bits_ = in.get<std::uint8_t>();
  if (bits_ > finest) return false;
  return sketch_ ? counted_.load(in, slices) : exact_.load(in, slices);
}

}  // namespace millrace::alert
