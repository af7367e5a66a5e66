#include "plugins/alert/quantiles.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace millrace::alert {

namespace {

using Kind = Aggregate::Kind;

constexpr int mantissa_bits = 52;
constexpr std::uint32_t largest_count = (1U << 14U) - 1;
/// A slice of fewer entries is not worth sorting.
constexpr std::size_t worth_compressing = 8;

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

}  // namespace

double Ranking::at(std::size_t rank) const {
  if (bins_.empty()) return sorted_[rank - from_];
  if (rank < size_ / 2) {
    auto bin = bins_.begin();
    for (std::size_t through = bin->count; through <= rank; through += bin->count) ++bin;
    return middle_of(bin->bucket, bits_);
  }
  auto bin = bins_.end() - 1;
  for (std::size_t beyond = size_ - bin->count; beyond > rank; beyond -= bin->count) --bin;
  return middle_of(bin->bucket, bits_);
}

double Ranking::interpolated(double share) const {
  std::size_t below = lower_rank(size_, share);
  double low = at(below);
  if (below + 1 >= size_) return low;
  double rank = static_cast<double>(size_ - 1) * share;
  return low + (rank - static_cast<double>(below)) * (at(below + 1) - low);
}

double Ranking::discrete(double share) const {
  // A share such as 0.07 of 100 values must not become the eighth by rounding.
  double wanted = std::ceil(share * static_cast<double>(size_) - 1e-9);
  auto place = static_cast<std::size_t>(std::max(1.0, wanted)) - 1;
  return at(std::min(place, size_ - 1));
}

void Quantiles::open(bool sketch) {
  sketch_ = sketch_ || sketch;
  if (!sketch_) return exact_.open();
  // What is counted twice in a slice that is full now is put together, unless only part of it is in the bins.
  if (counted_.size() > 0) {
    std::span<Entry> last = counted_.newest();
    bool all_folded = folded_ == counted_.size();
    if (last.size() > worth_compressing && (all_folded || folded_ + last.size() <= counted_.size())) {
      counted_.shorten(compress(last));
      if (all_folded) folded_ = counted_.size();
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
  std::size_t gone = counted_.pop();
  std::size_t summed = std::min(gone, folded_);
  for (std::size_t i = 0; i < summed; ++i) put(before[i].bucket, -static_cast<std::int64_t>(before[i].count));
  folded_ -= summed;
}

void Quantiles::join(std::span<const std::uint32_t> runs) {
  if (!sketch_) return exact_.join(runs);
  counted_.join(runs);
  compress();
}

void Quantiles::clear() {
  exact_.clear();
  counted_.clear();
  bins_.clear();
  folded_ = empty_bins_ = total_ = 0;
  above_ = null_value;
  sketch_ = false;
  bits_ = finest;
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
  bins_.clear();
  folded_ = empty_bins_ = total_ = 0;
}

bool Quantiles::widen() {
  if (bits_ == 0) return false;
  --bits_;
  counted_.each_slice([this](std::span<Entry> slice) {
    for (Entry& entry : slice) entry.bucket = entry.bucket >> 1;
    return compress(slice);
  });
  bins_.clear();
  folded_ = empty_bins_ = total_ = 0;
  return true;
}

void Quantiles::put(std::int32_t bucket, std::int64_t count) {
  auto bin = std::lower_bound(bins_.begin(), bins_.end(), bucket, [](const Bin& b, std::int32_t at) { return b.bucket < at; });
  if (bin == bins_.end() || bin->bucket != bucket) bin = bins_.insert(bin, {bucket, 0});
  if (bin->count == 0 && empty_bins_ > 0 && count > 0) --empty_bins_;
  bin->count = static_cast<std::uint32_t>(bin->count + count);
  total_ = static_cast<std::size_t>(static_cast<std::int64_t>(total_) + count);
  if (bin->count == 0) ++empty_bins_;
}

void Quantiles::fold() {
  std::span<const Entry> entries = counted_.items();
  if (entries.size() - folded_ > entries.size() / 2) {
    // Nearly everything is new: sorting beats inserting one by one.
    bins_.clear();
    total_ = 0;
    std::vector<Bin> all;
    for (const Entry& entry : entries) {
      all.push_back({entry.bucket, entry.count});
      total_ += entry.count;
    }
    std::sort(all.begin(), all.end(), [](const Bin& a, const Bin& b) { return a.bucket < b.bucket; });
    for (const Bin& bin : all) {
      if (!bins_.empty() && bins_.back().bucket == bin.bucket)
        bins_.back().count += bin.count;
      else
        bins_.push_back(bin);
    }
    empty_bins_ = 0;
  } else {
    for (std::size_t i = folded_; i < entries.size(); ++i) put(entries[i].bucket, entries[i].count);
  }
  folded_ = entries.size();
  if (empty_bins_ * 4 <= bins_.size()) return;
  std::erase_if(bins_, [](const Bin& bin) { return bin.count == 0; });
  empty_bins_ = 0;
}

void Quantiles::rank(std::span<const Aggregate> aggregates, Ranking& to) {
  to.from_ = 0;
  to.bins_ = {};
  if (sketch_) {
    fold();
    to.bins_ = bins_;
    to.bits_ = bits_;
    to.size_ = total_;
    return;
  }
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
