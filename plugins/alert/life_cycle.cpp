#include "plugins/alert/life_cycle.h"

#include <algorithm>

#include "plugins/alert/aggregate.h"

namespace millrace::alert {

std::string_view name_of(State state) {
  constexpr std::string_view names[] = {"OK", "PENDING", "FIRING", "RECOVERING", "LATCHED"};
  return names[static_cast<int>(state)];
}

std::string text_of(Reason reason, std::string_view by) {
  constexpr std::string_view names[] = {"condition",    "cancelled",       "escalated",    "deescalated", "relapse",
                                        "reactivated",  "condition_clear", "resolved",     "ack:",        "ack_ignored",
                                        "rule_changed", "rule_removed",    "key_forgotten"};
  std::string text(names[static_cast<int>(reason)]);
  if (reason == Reason::ack) text += by;
  return text;
}

void LifeCycle::evaluate(const LifePlan& plan, Micros at, double value, const Emit& emit) {
  if (!is_null(value)) return set(plan, at, next_level(plan.levels, condition_, value), emit);
  if (plan.on_null == OnNull::no) return set(plan, at, 0, emit);
  if (plan.on_null == OnNull::yes) return set(plan, at, std::max<int>(condition_, 1), emit);
}

void LifeCycle::set(const LifePlan& plan, Micros at, int condition, const Emit& emit) {
  advance(plan, at, emit);
  observe(plan, at, condition);
  react(plan, at, emit);
}

void LifeCycle::excuse(Micros span) {
  for (Micros* since : {&lower_since_, &false_since_})
    if (*since != never_yet) *since += span;
  for (Micros& since : times())
    if (since != never_yet) since += span;
}

void LifeCycle::set_levels(std::size_t levels) {
  if (levels == levels_) return;
  auto several = levels > 1 ? std::make_unique<Micros[]>(levels) : nullptr;
  const std::span<Micros> to(several ? several.get() : &one_since_, levels);
  const std::size_t kept = std::min<std::size_t>(levels, levels_);
  std::copy_n(times().begin(), kept, to.begin());
  std::fill(to.begin() + static_cast<std::ptrdiff_t>(kept), to.end(), never_yet);
  several_since_ = std::move(several);
  levels_ = static_cast<std::uint8_t>(levels);
}

void LifeCycle::observe(const LifePlan& plan, Micros at, int condition) {
  set_levels(plan.levels.size());
  if (last_ != never_yet) {
    const Micros gap = std::max<Micros>(0, at - last_);
    if (away_) {
      excuse(gap);
      away_left_ = std::max<Micros>(0, away_left_ - gap);
    } else if (away_left_ > 0 && gap >= away_left_) {
      // What was evaluated meanwhile was of before, such as a window that had still to close.
      excuse(away_left_);
      away_left_ = 0;
    } else {
      away_left_ = std::max<Micros>(0, away_left_ - gap);
      if (plan.max_gap > 0 && gap > plan.max_gap) std::ranges::fill(times(), never_yet);
    }
  }
  away_ = false;
  last_ = at;
  condition_ = static_cast<std::uint8_t>(condition);
  auto mark = [at](Micros& since, bool holds) {
    if (!holds)
      since = never_yet;
    else if (since == never_yet)
      since = at;
  };
  int level = 0;
  for (Micros& since : times()) mark(since, condition >= ++level);
  mark(false_since_, open() && condition == 0);
  mark(lower_since_, open() && condition < level_);
}

int LifeCycle::target(const LifePlan& plan, Micros at) const {
  for (int l = condition_; l > 0; --l)
    if (at - since()[l - 1] >= plan.levels[l - 1].hold) return l;
  return 0;
}

void LifeCycle::react(const LifePlan& plan, Micros at, const Emit& emit) {
  int wanted = target(plan, at);
  switch (state_) {
    case State::ok:
    case State::pending:
      if (wanted > 0) return fire(at, wanted, Reason::condition, emit);
      if (state_ == State::ok && condition_ > 0)
        return change(State::pending, condition_, condition_, Reason::condition, at, emit);
      if (state_ == State::pending && condition_ == 0) change(State::ok, 0, 0, Reason::cancelled, at, emit);
      return;
    case State::latched:
      if (wanted > 0) fire(at, wanted, Reason::reactivated, emit);
      return;
    case State::recovering:
      if (condition_ > 0) change(State::firing, level_, level_, Reason::relapse, at, emit);
      return react_open(plan, at, wanted, emit);
    case State::firing: return react_open(plan, at, wanted, emit);
  }
}

void LifeCycle::react_open(const LifePlan& plan, Micros at, int wanted, const Emit& emit) {
  if (wanted > level_) return fire(at, wanted, Reason::escalated, emit);
  if (condition_ >= level_) return;
  if (condition_ > 0) {
    if (at - lower_since_ < plan.resolve_after) return;
    lower_since_ = never_yet;
    return change(State::firing, condition_, condition_, Reason::deescalated, at, emit);
  }
  if (at - false_since_ < plan.resolve_after) {
    if (state_ == State::firing) change(State::recovering, level_, level_, Reason::condition_clear, at, emit);
    return;
  }
  if (plan.latch && !acknowledged_) return change(State::latched, level_, level_, Reason::condition_clear, at, emit);
  change(State::ok, 0, level_, Reason::resolved, at, emit);
}

void LifeCycle::fire(Micros at, int level, Reason reason, const Emit& emit) {
  lower_since_ = false_since_ = never_yet;
  acknowledged_ = false;
  acknowledged_by_.reset();
  if (reason == Reason::condition) ++openings_;
  change(State::firing, level, level, reason, at, emit);
}

void LifeCycle::change(State to, int level_to, int shown, Reason reason, Micros at, const Emit& emit, std::string_view by) {
  Change row{state_, to, shown, level_, level_to, reason, at, 0, ++events_, false, by};
  row.opens = to == State::firing && (state_ == State::ok || state_ == State::pending);
  bool was_open = open();
  state_ = to;
  level_ = open() ? static_cast<std::uint8_t>(level_to) : 0;
  if (was_open || open()) row.opening = openings_;
  if (!open()) {
    lower_since_ = false_since_ = never_yet;
    acknowledged_ = false;
    acknowledged_by_.reset();
  }
  emit(row);
}

Micros LifeCycle::deadline(const LifePlan& plan) const {
  if (!plan.by_timer || levels_ == 0) return for_ever;
  Micros due = for_ever;
  int reached = state_ == State::firing ? level_ : 0;
  for (int l = condition_; l > reached; --l)
    if (since()[l - 1] != never_yet) due = std::min(due, since()[l - 1] + plan.levels[l - 1].hold);
  if (state_ == State::firing || state_ == State::recovering) {
    Micros since = condition_ == 0 ? false_since_ : lower_since_;
    if (since != never_yet) due = std::min(due, since + plan.resolve_after);
  }
  return due;
}

void LifeCycle::advance(const LifePlan& plan, Micros before, const Emit& emit) {
  for (Micros due = deadline(plan); due < before; due = deadline(plan)) {
    react(plan, due, emit);
    if (deadline(plan) <= due) return;
  }
}

void LifeCycle::acknowledge(Micros now, std::string_view by, const Emit& emit) {
  int shown = state_ == State::pending ? condition_ : level_;
  if (!open() || acknowledged_) return change(state_, level_, shown, Reason::ack_ignored, now, emit, by);
  acknowledged_ = true;
  acknowledged_by_ = std::make_unique<std::string>(by);
  bool over = state_ == State::latched;
  change(over ? State::ok : state_, over ? 0 : level_, shown, Reason::ack, now, emit, by);
}

void LifeCycle::end(Micros at, Reason reason, const Emit& emit) {
  condition_ = 0;
  std::ranges::fill(times(), never_yet);
  if (state_ != State::ok) change(State::ok, 0, level_, reason, at, emit);
}

void LifeCycle::restarted(const LifePlan& plan, Micros span) {
  if (plan.by_timer) return excuse(span);
  away_ = true;
  away_left_ += span;
}

void LifeCycle::save(Writer& out) const {
  out.put(state_);
  out.put(level_);
  out.put(condition_);
  out.put(acknowledged_);
  out.put(away_left_);
  out.put(last_);
  out.put(lower_since_);
  out.put(false_since_);
  out.put(openings_);
  out.put(events_);
  out.put(acknowledged_by());
  out.put(levels_);
  for (Micros since : since()) out.put(since);
}

bool LifeCycle::load(const LifePlan& plan, Reader& in) {
  state_ = in.get<State>();
  level_ = in.get<std::uint8_t>();
  condition_ = in.get<std::uint8_t>();
  acknowledged_ = in.get<std::uint8_t>() != 0;
  away_left_ = in.get<Micros>();
  last_ = in.get<Micros>();
  lower_since_ = in.get<Micros>();
  false_since_ = in.get<Micros>();
  openings_ = in.get<std::uint64_t>();
  events_ = in.get<std::uint64_t>();
  if (std::string_view by = in.text(); !by.empty()) acknowledged_by_ = std::make_unique<std::string>(by);
  set_levels(in.get<std::uint8_t>());
  for (Micros& since : times()) since = in.get<Micros>();
  std::size_t levels = plan.levels.size();
  return in.good() && state_ <= State::latched && level_ <= levels && condition_ <= levels_ && levels_ <= levels;
}

}  // namespace millrace::alert
