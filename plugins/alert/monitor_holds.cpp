#include <algorithm>
#include <utility>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

Monitor::Hold* Monitor::hold_on(std::uint32_t source) {
  auto found = std::find_if(holds_.begin(), holds_.end(), [&](const Hold& hold) { return hold.source == source; });
  return found == holds_.end() ? nullptr : &*found;
}

/// Where all keys share one time line, it stands where the source that is furthest behind stands.
Monitor::Hold* Monitor::hold_of(const Key& key) {
  if (holds_.empty() || key.own) return nullptr;
  Hold* found = nullptr;
  auto consider = [&](std::uint32_t source) {
    Hold* hold = hold_on(source);
    if (hold && (!found || hold->clock < found->clock)) found = hold;
  };
  if (plan_.time.scope == Scope::source) {
    for (std::uint32_t source : sources_) consider(source);
    return found;
  }
  if (key.source != 0) consider(key.source);
  if (key.further)
    for (const auto& [source, sequence] : *key.further) consider(source);
  return found;
}

Micros Monitor::clock_of(const Key& key) const {
  const Hold* hold = hold_of(key);
  return hold ? hold->clock : now_;
}

void Monitor::hold(std::uint32_t source, Micros since) {
  if (Hold* held = hold_on(source)) {
    held->until = for_ever;
    return;
  }
  Hold& made = holds_.emplace_back();
  made.source = source;
  made.clock = now_ == never_yet ? since : std::min(now_, since);
}

void Monitor::catch_up(std::uint32_t source, Micros until) {
  if (Hold* held = hold_on(source)) held->until = until;
}

std::vector<std::uint32_t> Monitor::held() const {
  std::vector<std::uint32_t> sources;
  for (const Hold& hold : holds_) sources.push_back(hold.source);
  return sources;
}

void Monitor::take_to_hold(const Arrival& arrival) {
  Hold* held = hold_on(arrival.source);
  if (!held) return;
  held->clock = std::max(held->clock, arrival.arrival);
  if (arrival.fresh && held->until < for_ever) let_go(*held);
}

/// The hold with the earliest event that its clock, or a time line that all share, has passed.
Monitor::Hold* Monitor::due_hold() {
  Hold* first = nullptr;
  for (Hold& hold : holds_) {
    Micros event = hold.events.next();
    if (event >= for_ever || (event + late() >= hold.clock && !passed(event))) continue;
    if (!first || event < first->events.next()) first = &hold;
  }
  return first;
}

void Monitor::let_go(Hold& hold) {
  Hold gone = std::move(hold);
  holds_.erase(holds_.begin() + (&hold - holds_.data()));
  while (gone.events.next() < for_ever) {
    auto [at, key] = gone.events.pop();
    events_.push(at, *key);
  }
  for (const Slot& slot : names_) {
    slot.key->reschedule = true;
    schedule(*slot.key);
  }
}

void Monitor::let_go_by(Micros now) {
  for (std::size_t i = holds_.size(); i-- > 0;)
    if (holds_[i].until <= now) let_go(holds_[i]);
}

Micros Monitor::hold_deadline() const {
  Micros first = for_ever;
  for (const Hold& hold : holds_) first = std::min(first, hold.until);
  return first;
}

void Monitor::save_holds(Writer& out) const {
  for (const Hold& hold : holds_) {
    out.put(hold.source);
    out.put(hold.clock);
  }
}

/// Whether their sources are back is for them to say.
void Monitor::load_holds(Reader& in) {
  while (in.good() && !in.over()) {
    auto source = in.get<std::uint32_t>();
    hold(source, in.get<Micros>());
  }
}

}  // namespace millrace::alert
