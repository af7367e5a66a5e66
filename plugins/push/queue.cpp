#include "plugins/push/queue.h"

#include <algorithm>

#include <fmt/format.h>

namespace millrace::push {

bool Queue::add(Parcel parcel) {
  if (!ages_.try_emplace(parcel.id, next_age_).second) return false;
  parcels_.emplace(next_age_++, std::move(parcel));
  return true;
}

Parcel* Queue::find(std::string_view id) {
  auto age = ages_.find(std::string(id));
  return age == ages_.end() ? nullptr : &parcels_.at(age->second);
}

void Queue::remove(std::string_view id) {
  auto age = ages_.find(std::string(id));
  if (age == ages_.end()) return;
  parcels_.erase(age->second);
  ages_.erase(age);
}

void Queue::pause(std::size_t target, Time until) {
  Time& pause = pauses_[target];
  pause = std::max(pause, until);
}

Time Queue::paused_until(std::size_t target) const {
  auto pause = pauses_.find(target);
  return pause == pauses_.end() ? Time{} : pause->second;
}

/// Calls `f(age, parcel)` for the oldest parcel of each thread and target, until it returns false.
template <class F>
void Queue::each_foremost(F&& f) const {
  std::unordered_set<std::string> seen;
  for (const auto& [age, parcel] : parcels_) {
    if (!seen.insert(fmt::format("{}/{}", parcel.target, parcel.message.thread)).second) continue;
    if (!f(age, parcel)) return;
  }
}

std::vector<Parcel*> Queue::due(Time now, std::size_t count) {
  std::vector<Parcel*> found;
  each_foremost([&](std::uint64_t age, const Parcel& parcel) {
    if (found.size() == count) return false;
    if (!parcel.under_way && parcel.next_try <= now && paused_until(parcel.target) <= now) found.push_back(&parcels_.at(age));
    return true;
  });
  return found;
}

std::optional<Time> Queue::next_due() const {
  std::optional<Time> next;
  each_foremost([&](std::uint64_t, const Parcel& parcel) {
    if (parcel.under_way) return true;
    Time time = std::max(parcel.next_try, paused_until(parcel.target));
    if (!next || time < *next) next = time;
    return true;
  });
  return next;
}

}  // namespace millrace::push
