#include "plugins/signalr/latest.h"

#include <algorithm>

namespace millrace::signalr {

void Latest::unlink(std::uint32_t place) {
  Series& s = series_[place];
  (s.older == none ? oldest_ : series_[s.older].newer) = s.newer;
  (s.newer == none ? newest_ : series_[s.newer].older) = s.older;
}

void Latest::make_newest(std::uint32_t place) {
  Series& s = series_[place];
  s.older = newest_;
  s.newer = none;
  (newest_ == none ? oldest_ : series_[newest_].newer) = place;
  newest_ = place;
}

/// As the newest.
void Latest::join_kin(std::uint32_t place) {
  Series& s = series_[place];
  auto [newest, alone] = newest_kin_.try_emplace(s.kinship, place);
  s.older_kin = newest->second;
  s.newer_kin = alone ? place : series_[s.older_kin].newer_kin;
  series_[s.older_kin].newer_kin = place;
  series_[s.newer_kin].older_kin = place;
  newest->second = place;
}

void Latest::leave_kin(std::uint32_t place) {
  Series& s = series_[place];
  auto newest = newest_kin_.find(s.kinship);
  if (s.newer_kin == place) {
    newest_kin_.erase(newest);
    return;
  }
  if (newest->second == place) newest->second = s.older_kin;
  series_[s.older_kin].newer_kin = s.newer_kin;
  series_[s.newer_kin].older_kin = s.older_kin;
}

Latest::Updated Latest::count(const Key& key) {
  if (limit_ == 0) return {};
  Updated updated;
  auto [found, fresh] = places_.try_emplace(key.id, size());
  if (!fresh) {
    updated.place = found->second;
    unlink(updated.place);
    bool has_kin = series_[updated.place].newer_kin != updated.place;
    if (has_kin) leave_kin(updated.place);
    if (has_kin) join_kin(updated.place);
  } else if (size() < limit_) {
    updated.place = size();
    series_.emplace_back();
  } else {
    updated = {.place = oldest_, .evicted = true};
    found->second = oldest_;
    places_.erase(series_[oldest_].id);
    evicted_seq_ = std::max(evicted_seq_, series_[oldest_].seq);
    unlink(updated.place);
    leave_kin(updated.place);
  }
  make_newest(updated.place);
  Series& s = series_[updated.place];
  if (fresh) {
    s.id = key.id;
    s.channel = key.channel;
    s.group.assign(key.group);
    s.names = key.names;
    s.seq = evicted_seq_;
    s.kinship = key.kinship;
    join_kin(updated.place);
  }
  updated.seq = ++s.seq;
  return updated;
}

void Latest::store(std::uint32_t place, Encoded record) {
  Series& s = series_[place];
  s.json.assign(record.json);
  s.messagepack.assign(record.messagepack);
}

}  // namespace millrace::signalr
