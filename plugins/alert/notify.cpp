#include "plugins/alert/notify.h"

#include <algorithm>

namespace millrace::alert {

std::string_view name_of(NoticeType type) {
  constexpr std::string_view names[] = {"firing",        "escalated",    "deescalated",    "repeat",
                                        "resolved",      "flapping",     "flapping_ended", "group_firing",
                                        "group_changed", "group_repeat", "group_resolved"};
  return names[static_cast<int>(type)];
}

Micros silenced_until(const std::vector<Silence>& silences, const Silenced& alert, Micros now) {
  Micros until = now;
  for (bool longer = true; longer;) {
    longer = false;
    for (const Silence& s : silences) {
      if (s.from > until || s.to <= until || !alert.by(s)) continue;
      until = s.to;
      longer = true;
    }
  }
  return until;
}

std::string_view Teller::owed() const {
  constexpr std::string_view names[] = {"", "firing", "escalated"};
  return names[static_cast<int>(owed_)];
}

void Teller::send(NoticeType type, int level, std::uint64_t opening, std::uint64_t event, bool quiet, Micros now,
                  const Emit& emit) {
  last_told_ = now;
  emit({type, level, opening, ++number_, event, quiet});
}

void Teller::tell(NoticeType type, const LifeCycle& life, std::uint64_t event, Micros now, bool silent, const Emit& emit) {
  if (silent) {
    owed_ = told_ && type == NoticeType::escalated ? Owed::escalated : Owed::firing;
    owed_event_ = event;
    return;
  }
  owed_ = Owed::nothing;
  told_ = true;
  send(type, life.level(), life.openings(), event, false, now, emit);
}

bool Teller::starts_flapping(const NotifyPlan& plan, Micros now) {
  if (!plan.flap) return false;
  std::vector<Micros>& openings = flap_->openings;
  openings.push_back(now);
  if (openings.size() > plan.flap->opens) openings.erase(openings.begin());
  return openings.size() == plan.flap->opens && now - openings.front() <= plan.flap->within;
}

void Teller::changed(const NotifyPlan& plan, const LifeCycle& life, const Change& change, Micros now, Micros quiet_until,
                     const Emit& emit) {
  bool silent = quiet_until > now;
  bool ends = change.to == State::ok || change.to == State::latched;
  if (change.reason == Reason::ack || change.reason == Reason::ack_ignored) {
    if (change.reason == Reason::ack) owed_ = Owed::nothing;
    if (ends) told_ = false;
    return;
  }
  if (plan.flap && !flap_) flap_ = std::make_unique<Flap>();
  if (flap_) flap_->last_change = now;
  if (change.opens && starts_flapping(plan, now) && !flapping()) {
    flap_->on = true;
    owed_ = Owed::nothing;
    if (!silent) send(NoticeType::flapping, life.level(), change.opening, change.event, false, now, emit);
    return;
  }
  if (change.reason == Reason::resolved || change.reason == Reason::condition_clear) {
    if (!ends) return;
    bool worth_it = told_ && !flapping() && plan.resolved;
    if (worth_it) send(NoticeType::resolved, change.level, change.opening, change.event, silent, now, emit);
    told_ = false;
    owed_ = Owed::nothing;
    return;
  }
  if (ends) {
    told_ = false;
    owed_ = Owed::nothing;
    return;
  }
  if (flapping() || change.to != State::firing) return;
  if (change.opens || change.reason == Reason::reactivated)
    return tell(NoticeType::firing, life, change.event, now, silent, emit);
  if (change.reason == Reason::escalated) return tell(NoticeType::escalated, life, change.event, now, silent, emit);
  if (change.reason == Reason::deescalated && plan.deescalated && told_ && !silent)
    send(NoticeType::deescalated, change.level, change.opening, change.event, false, now, emit);
}

void Teller::tick(const NotifyPlan& plan, const LifeCycle& life, Micros now, Micros quiet_until, const Emit& emit) {
  bool silent = quiet_until > now;
  if (flapping() && (!plan.flap || now - flap_->last_change >= plan.flap->quiet)) {
    flap_.reset();
    told_ = life.open() && life.state() != State::latched;
    if (!silent) send(NoticeType::flapping_ended, life.level(), life.openings(), 0, false, now, emit);
  }
  if (flapping() || silent || life.state() != State::firing || life.acknowledged()) return;
  if (owed_ != Owed::nothing)
    return tell(owed_ == Owed::firing ? NoticeType::firing : NoticeType::escalated, life, owed_event_, now, false, emit);
  if (plan.repeat > 0 && told_ && now - last_told_ >= plan.repeat)
    send(NoticeType::repeat, life.level(), life.openings(), 0, false, now, emit);
}

Micros Teller::deadline(const NotifyPlan& plan, const LifeCycle& life, Micros now, Micros quiet_until) const {
  if (flapping() && plan.flap) return flap_->last_change + plan.flap->quiet;
  if (life.state() != State::firing || life.acknowledged()) return for_ever;
  Micros audible = quiet_until > now ? quiet_until : never_yet;
  if (owed_ != Owed::nothing) return std::max(audible, now);
  if (plan.repeat > 0 && told_) return std::max(audible, last_told_ + plan.repeat);
  return for_ever;
}

namespace {

void shift_moment(Micros& moment, Micros by) {
  if (moment != never_yet && moment < for_ever) moment += by;
}

}  // namespace

void Teller::shift(Micros by) {
  shift_moment(last_told_, by);
  if (!flap_) return;
  shift_moment(flap_->last_change, by);
  for (Micros& opening : flap_->openings) shift_moment(opening, by);
}

void Group::shift(Micros by) {
  shift_moment(next_, by);
  shift_moment(last_sent_, by);
}

void Teller::save(Writer& out) const {
  out.put(told_);
  out.put(flapping());
  out.put(owed_);
  out.put(owed_event_);
  out.put(last_told_);
  out.put(flap_ ? flap_->last_change : never_yet);
  out.put(number_);
  out.put(static_cast<std::uint32_t>(flap_ ? flap_->openings.size() : 0));
  for (std::size_t i = 0; flap_ && i < flap_->openings.size(); ++i) out.put(flap_->openings[i]);
}

bool Teller::load(Reader& in) {
  told_ = in.get<std::uint8_t>() != 0;
  Flap flap{.on = in.get<std::uint8_t>() != 0};
  owed_ = in.get<Owed>();
  owed_event_ = in.get<std::uint64_t>();
  last_told_ = in.get<Micros>();
  flap.last_change = in.get<Micros>();
  number_ = in.get<std::uint64_t>();
  for (auto count = in.get<std::uint32_t>(); count > 0 && in.good(); --count) flap.openings.push_back(in.get<Micros>());
  flap_ = flap.on || !flap.openings.empty() ? std::make_unique<Flap>(std::move(flap)) : nullptr;
  return in.good() && owed_ <= Owed::escalated;
}

void Group::changed(const NotifyPlan& plan, std::string_view key, const LifeCycle& life, const Change& change, Micros now) {
  bool before_opening = (change.to == State::pending || change.from == State::pending) && !change.opens;
  if (before_opening) return;
  auto found = members_.find(key);
  if (found == members_.end()) {
    if (!life.open()) return;
    if (members_.empty()) next_ = now + plan.group->wait;
    found = members_.try_emplace(std::string(key)).first;
  }
  Member& m = found->second;
  m.acknowledged = life.acknowledged();
  bool firing = life.state() == State::firing || life.state() == State::recovering;
  if (firing && !m.firing) m.fresh = !m.told;
  if (change.reason == Reason::escalated) m.fresh = true;
  m.firing = firing;
  if (!firing && !m.told) members_.erase(found);
}

std::optional<GroupNotice> Group::flush(const NotifyPlan& plan, Micros now,
                                        const std::function<bool(std::string_view)>& silenced) {
  GroupNotice notice;
  bool fresh = false;
  bool attended = true;
  for (auto it = members_.begin(); it != members_.end();) {
    auto& [key, m] = *it;
    if (!m.firing) {
      if (plan.resolved) notice.resolved.push_back(key);
      it = members_.erase(it);
      continue;
    }
    ++it;
    if (silenced(key)) continue;
    fresh |= m.fresh;
    m.fresh = false;
    m.told = true;
    attended &= m.acknowledged;
    notice.firing.push_back(key);
  }
  while (next_ <= now) next_ += plan.group->interval;
  if (members_.empty()) next_ = for_ever;
  if (fresh)
    notice.type = NoticeType::group_firing;
  else if (!notice.resolved.empty())
    notice.type = notice.firing.empty() ? NoticeType::group_resolved : NoticeType::group_changed;
  else if (!notice.firing.empty() && !attended && plan.repeat > 0 && now - last_sent_ >= plan.repeat)
    notice.type = NoticeType::group_repeat;
  else
    return std::nullopt;
  last_sent_ = now;
  return notice;
}

void Group::save(Writer& out) const {
  out.put(next_);
  out.put(last_sent_);
  out.put(static_cast<std::uint32_t>(members_.size()));
  for (const auto& [key, m] : members_) {
    out.put(key);
    out.put(m.firing);
    out.put(m.fresh);
    out.put(m.told);
    out.put(m.acknowledged);
  }
}

bool Group::load(Reader& in) {
  next_ = in.get<Micros>();
  last_sent_ = in.get<Micros>();
  members_.clear();
  for (auto count = in.get<std::uint32_t>(); count > 0 && in.good(); --count) {
    Member& m = members_[std::string(in.text())];
    m.firing = in.get<std::uint8_t>() != 0;
    m.fresh = in.get<std::uint8_t>() != 0;
    m.told = in.get<std::uint8_t>() != 0;
    m.acknowledged = in.get<std::uint8_t>() != 0;
  }
  return in.good();
}

}  // namespace millrace::alert
