#include "plugins/signalr/latest.h"

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

Latest::Updated Latest::update(std::uint64_t id, std::string_view target, std::string_view group, Encoded record) {
  if (limit_ == 0) return {};
  Updated updated;
  auto [found, fresh] = places_.try_emplace(id, size());
  if (!fresh) {
    updated.place = found->second;
    unlink(updated.place);
  } else if (size() < limit_) {
    updated.place = size();
    series_.emplace_back();
  } else {
    updated = {.place = oldest_, .evicted = true};
    found->second = oldest_;
    places_.erase(series_[oldest_].id);
    unlink(updated.place);
  }
  make_newest(updated.place);
  Series& s = series_[updated.place];
  s.json.assign(record.json);
  s.messagepack.assign(record.messagepack);
  if (fresh) {
    s.id = id;
    s.target.assign(target);
    s.group.assign(group);
  }
  return updated;
}

}  // namespace millrace::signalr
