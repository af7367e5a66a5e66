#include "plugins/alert/distinct.h"

#include <algorithm>
#include <bit>
#include <unordered_set>
#include <vector>

namespace millrace::alert {

namespace {

/// One to one, so that different values stay different (the finalizer of SplitMix64).
std::uint64_t hash_of(double value) {
  std::uint64_t x = std::bit_cast<std::uint64_t>(value == 0 ? 0.0 : value);
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

}  // namespace

void Distinct::add(double value, std::size_t most) {
  std::uint64_t hash = hash_of(value);
  if (!sampled(hash)) return;
  hashes_.push(hash);
  if (hashes_.size() > most) make_room_for_more(most);
}

void Distinct::make_room_for_more(std::size_t most) {
  // Of a value that comes several times only the last to leave matters.
  std::span<const std::uint64_t> all = hashes_.items();
  std::vector<bool> last(all.size());
  std::unordered_set<std::uint64_t> seen;
  for (std::size_t i = all.size(); i-- > 0;) last[i] = seen.insert(all[i]).second;
  std::size_t at = 0;
  hashes_.each_slice([&](std::span<std::uint64_t> slice) {
    std::size_t to = 0;
    for (std::uint64_t hash : slice)
      if (last[at++]) slice[to++] = hash;
    return to;
  });
  while (hashes_.size() > most / 2 && level_ < 63) {
    ++level_;
    hashes_.each_slice([this](std::span<std::uint64_t> slice) {
      auto end = std::remove_if(slice.begin(), slice.end(), [this](std::uint64_t hash) { return !sampled(hash); });
      return static_cast<std::size_t>(end - slice.begin());
    });
  }
}

double Distinct::count() const {
  std::vector<std::uint64_t> sorted(hashes_.items().begin(), hashes_.items().end());
  std::sort(sorted.begin(), sorted.end());
  auto different = std::unique(sorted.begin(), sorted.end()) - sorted.begin();
  return static_cast<double>(different) * static_cast<double>(1ULL << level_);
}

void Distinct::clear() {
  hashes_.clear();
  level_ = 0;
}

void Distinct::save(Writer& out) const {
  out.put(level_);
  hashes_.save(out);
}

bool Distinct::load(Reader& in, std::size_t slices) {
  clear();
  level_ = in.get<std::uint8_t>();
  return level_ < 64 && hashes_.load(in, slices);
}

}  // namespace millrace::alert
