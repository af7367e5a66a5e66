#include "plugins/signalr/history.h"

#include <algorithm>

namespace millrace::signalr {

bool History::stands(const Arrival& arrival) const {
  const Track& track = tracks_[arrival.place];
  return track.owner == arrival.owner && !track.records.empty() && track.first <= arrival.seq;
}

void History::drop_first(Track& track) {
  bytes_ -= track.records.front().bytes();
  --records_;
  track.records.pop_front();
  ++track.first;
}

void History::drop_oldest() {
  Arrival oldest = arrivals_.front();
  arrivals_.pop_front();
  if (stands(oldest)) drop_first(tracks_[oldest.place]);
}

/// Keeps the arrivals of what was dropped for its series' sake from outnumbering the others.
void History::compact() {
  if (arrivals_.size() > 2 * records_ + 1024) std::erase_if(arrivals_, [this](const Arrival& one) { return !stands(one); });
}

void History::keep(std::uint32_t place, std::uint64_t seq, Encoded record, Clock::time_point now) {
  if (limits_.records == 0) return;
  if (place >= tracks_.size()) tracks_.resize(place + 1);
  Track& track = tracks_[place];
  if (track.records.empty()) track.first = seq;
  track.records.emplace_back(record);
  bytes_ += track.records.back().bytes();
  ++records_;
  arrivals_.push_back({.place = place, .owner = track.owner, .seq = seq, .at = now});
  while (track.records.size() > limits_.records) drop_first(track);
  while (bytes_ > limits_.bytes) drop_oldest();
  compact();
}

void History::forget(std::uint32_t place) {
  if (place >= tracks_.size()) return;
  Track& track = tracks_[place];
  while (!track.records.empty()) drop_first(track);
  ++track.owner;
}

void History::expire(Clock::time_point now) {
  while (!arrivals_.empty() && now - arrivals_.front().at >= limits_.age) drop_oldest();
}

std::uint64_t History::first(std::uint32_t place, std::uint64_t newest) const {
  if (place >= tracks_.size() || tracks_[place].records.empty()) return newest + 1;
  return tracks_[place].first;
}

const History::Kept* History::at(std::uint32_t place, std::uint64_t seq) const {
  if (place >= tracks_.size()) return nullptr;
  const Track& track = tracks_[place];
  bool kept = seq >= track.first && seq - track.first < track.records.size();
  return kept ? &track.records[seq - track.first] : nullptr;
}

}  // namespace millrace::signalr
