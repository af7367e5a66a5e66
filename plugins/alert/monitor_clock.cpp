#include <algorithm>
#include <utility>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

namespace {

constexpr Micros given_up_after = 7LL * 24 * 3600 * 1'000'000;

}  // namespace

void Monitor::run_clock(Key& key) {
  if (!key.rules) return;
  if (key.own) {
    for (const auto& trouble : troubles_)
      if (trouble && &trouble->key == &key) run_trouble(*trouble);
    return;
  }
  if (silence_) silent(key, now_);
  bool quiet = key.heard + idle_limit_ <= now_ && may_go(key) && !hold_of(key);
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key.rules[index_of(rule)];
    if (!instance.alert || rule.notify.group) continue;
    with(key, rule, instance, Cause{});
    instance.alert->teller.tick(rule.notify, instance.alert->life, now_, quiet_until(rule, key), on_notice_);
  }
  if (quiet) return evict(key);
  schedule(key);
}

/// Its last silence, if it ended only now, comes first: run() has fired the deadline before this.
void Monitor::heard(Key& key) {
  Instance& instance = key.rules[index_of(*silence_)];
  // One that was forgotten has no deadline that the record would only put off.
  if (std::exchange(key.missed, false)) key.reschedule = true;
  if (!instance.alert || instance.alert->life.condition() == 0) return;
  with(key, *silence_, instance, Cause{});
  instance.alert->life.set(silence_->life, now_, 0, on_change_);
}

void Monitor::silent(Key& key, Micros at) {
  Instance& instance = key.rules[index_of(*silence_)];
  Micros deadline = key.heard + silence_->silent_after;
  if (key.missed || key.heard == never_yet || at < deadline) return;
  // What would break the silence may be on its way.
  if (const Hold* hold = hold_of(key); hold && hold->until < for_ever) return;
  bool known = instance.alert && instance.alert->life.condition() > 0;
  Cause cause;
  cause.value = static_cast<double>(silence_->silent_after) / 1e6;
  if (!known) {
    touch(key);
    alert(instance);
    with(key, *silence_, instance, cause);
    instance.alert->life.set(silence_->life, deadline, 1, on_change_);
  } else if (at >= deadline + given_up_after) {
    touch(key);
    key.missed = true;
    with(key, *silence_, instance, cause);
    instance.alert->life.end(now_, Reason::key_forgotten, on_change_);
  }
}

bool Monitor::may_go(const Key& key) const {
  bool empty = !key.waiting || key.waiting->empty();
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key.rules[index_of(rule)];
    bool passing = rule.watch == Watch::trailing || rule.watch == Watch::zscore;
    bool remembers = rule.watch == Watch::changed && !is_null(instance.last_value);
    empty = empty && (passing || instance.window.empty()) && !remembers && !instance.alert;
  }
  return empty;
}

Micros Monitor::clock_deadline(const Key& key) const {
  Micros first = key.heard + idle_limit_;
  // What still holds it back ends by a record, a window or a person, all of which schedule it anew.
  if (first <= now_) first = may_go(key) ? now_ + idle_limit_ : for_ever;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key.rules[index_of(rule)];
    if (&rule == silence_ && !key.missed && key.heard != never_yet) {
      bool known = instance.alert && instance.alert->life.condition() > 0;
      Micros silent = key.heard + rule.silent_after + (known ? given_up_after : 0);
      if (const Hold* hold = hold_of(key); hold && hold->until < for_ever) silent = std::max(silent, hold->until);
      first = std::min(first, silent);
    }
    if (instance.alert && !rule.notify.group)
      first = std::min(first, instance.alert->teller.deadline(rule.notify, instance.alert->life, now_, quiet_until(rule, key)));
  }
  return first;
}

void Monitor::jumped(Micros forward) {
  if (now_ == never_yet) return;
  now_ += forward;
  each_key([&](Key& key) {
    if (key.heard != never_yet) key.heard += forward;
    for (const RulePlan& rule : plan_.rules) {
      const auto& alert = key.rules[index_of(rule)].alert;
      if (!alert) continue;
      alert->life.restarted(rule.life, forward);
      alert->teller.shift(forward);
    }
    touch(key);
  });
  for (Groups& groups : groups_)
    for (auto& [name, group] : groups.of) group.shift(forward);
}

}  // namespace millrace::alert
