#include <algorithm>
#include <utility>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

namespace {

/// What went wrong in the stage is over when it has not happened for so long.
constexpr Micros trouble_over_after = 5LL * 60 * 1'000'000;

bool concerns_people(const Change& change) {
  switch (change.reason) {
    case Reason::condition: return change.opens;
    case Reason::escalated:
    case Reason::deescalated:
    case Reason::reactivated:
    case Reason::resolved: return true;
    case Reason::condition_clear: return change.to == State::latched;
    default: return false;
  }
}

}  // namespace

std::string_view name_of(Trouble trouble) {
  constexpr std::string_view names[] = {"too_many_keys", "reorder_buffer_full", "script_error"};
  return names[static_cast<int>(trouble)];
}

Monitor::Alert& Monitor::alert(Instance& instance) {
  if (!instance.alert) instance.alert = std::make_unique<Alert>();
  return *instance.alert;
}

void Monitor::with(Key& key, const RulePlan& rule, Instance& instance, const Cause& cause) {
  current_ = {&key, &rule, &instance, cause};
  if (key.quotes) current_.cause.quotes = *key.quotes;
}

void Monitor::changed(const Change& change) {
  // What follows may find more to change.
  const auto [key, rule, instance, cause] = current_;
  touch(*key);
  key->reschedule = true;
  take_part(*key, *rule, change.from, change.to);
  output_.change(*rule, key->name, change, cause, now_);
  if (concerns_people(change)) instance->alert->told = Told::make(change, cause.value, cause.figures);
  if (rule->notify.group)
    changed_in_group(change);
  else
    instance->alert->teller.changed(rule->notify, instance->alert->life, change, now_, quiet_until(*rule, *key), on_notice_);
  // Last, so that the end itself is told as the silence has it.
  if (change.to == State::ok && !silences_.empty()) end_silences_of(key->name);
}

void Monitor::end_silences_of(std::string_view key) {
  for (Silence& silence : silences_) {
    if (!silence.once || silence.key != key || silence.to <= now_ || mutes_open(silence)) continue;
    // A backlog may lie before its beginning.
    silence.to = std::max(now_, silence.from);
    spent_.push_back({silence.id, silence.to});
  }
}

bool Monitor::mutes_open(const Silence& silence) const {
  return std::any_of(plan_.rules.begin(), plan_.rules.end(),
                     [&](const RulePlan& rule) { return open(rule.name, silence.key) && seen(rule, silence.key).by(silence); });
}

void Monitor::changed_in_group(const Change& change) {
  const auto& [key, rule, instance, cause] = current_;
  Alert& alert = *instance->alert;
  Groups& groups = groups_[index_of(*rule)];
  // A member stays in its group, whatever its records say meanwhile.
  bool member = change.from != State::ok && change.from != State::pending;
  if (!member && rule->group_of) alert.group = std::make_unique<std::string>(rule->group_of(key->name, cause.quotes));
  auto group = groups.of.try_emplace(alert.group ? *alert.group : std::string()).first;
  group->second.changed(rule->notify, key->name, alert.life, change, now_);
  if (group->second.empty()) groups.of.erase(group);
}

void Monitor::notified(const Notice& notice) {
  const auto& [key, rule, instance, cause] = current_;
  touch(*key);
  key->reschedule = true;
  const Told* told = instance->alert->told.get();
  Cause seen{told ? told->value() : null_value, nullptr, told ? told->figures() : std::span<const double>(), cause.quotes};
  output_.notice(*rule, key->name, notice, told ? told->change() : Change(), seen, now_);
}

Silenced Monitor::seen(const RulePlan& rule, const Key& key) const {
  Silenced seen{rule.name, key.name, {}};
  if (rule.labels_of) seen.labels = rule.labels_of(key.name, key.latest());
  return seen;
}

Silenced Monitor::seen(const RulePlan& rule, std::string_view name) const {
  if (const Key* key = find(rule, name)) return seen(rule, *key);
  return {rule.name, name, {}};
}

/// The end of an inhibition is not known; the key is scheduled anew once there is none.
Micros Monitor::quiet_until(const RulePlan& rule, const Key& key) const {
  if (inhibitor(rule, key)) return for_ever;
  return silences_.empty() ? now_ : silenced_until(silences_, seen(rule, key), now_);
}

std::string Monitor::muted_by(const RulePlan& rule, std::string_view name) const {
  if (const Key* key = find(rule, name))
    if (const RulePlan* by = inhibitor(rule, *key)) return "rule:" + by->name;
  if (silences_.empty()) return {};
  const Silenced alert = seen(rule, name);
  for (const Silence& s : silences_)
    if (alert.by(s, now_)) return "silence:" + s.id;
  return {};
}

void Monitor::flush_groups(Micros due) {
  for (const RulePlan& rule : plan_.rules) {
    auto& groups = groups_[index_of(rule)].of;
    for (auto group = groups.begin(); group != groups.end();) {
      if (group->second.deadline() <= due) flush_group(rule, group->first, group->second);
      group = group->second.empty() ? groups.erase(group) : std::next(group);
    }
  }
}

void Monitor::flush_group(const RulePlan& rule, const std::string& name, Group& group) {
  auto silenced = [&](std::string_view key_name) {
    const Key* key = find(rule, key_name);
    return key && quiet_until(rule, *key) > now_;
  };
  auto notice = group.flush(rule.notify, now_, silenced);
  if (!notice) return;
  notice->group = name;
  notice->number = ++groups_[index_of(rule)].told;
  for (const auto* keys : {&notice->firing, &notice->resolved})
    for (const std::string& key_name : *keys)
      if (const Key* key = find(rule, key_name); key && key->quotes && notice->quotes.empty()) notice->quotes = *key->quotes;
  output_.notice(rule, *notice, now_);
}

Micros Monitor::group_deadline() const {
  Micros first = for_ever;
  for (const Groups& groups : groups_)
    for (const auto& [name, group] : groups.of) first = std::min(first, group.deadline());
  return first;
}

const RulePlan* Monitor::rule_named(std::string_view name) const {
  for (const RulePlan& rule : plan_.rules)
    if (rule.name == name) return &rule;
  return nullptr;
}

Monitor::Key* Monitor::find(const RulePlan& rule, std::string_view name) const {
  if (&rule != trouble_) return find(name);
  for (const auto& trouble : troubles_)
    if (trouble && trouble->key.name == name) return &trouble->key;
  return nullptr;
}

Monitor::OwnTrouble& Monitor::own(Trouble trouble) {
  auto& place = troubles_[static_cast<std::size_t>(trouble)];
  if (!place) {
    place = std::make_unique<OwnTrouble>();
    place->key.name = name_of(trouble);
    place->key.own = true;
    place->key.rules = std::make_unique<Instance[]>(plan_.rules.size());
  }
  return *place;
}

void Monitor::meet(Trouble which) {
  if (!trouble_) return;
  OwnTrouble& trouble = own(which);
  trouble.key.heard = now_;
  ++trouble.times;
  Instance& instance = trouble.key.rules[index_of(*trouble_)];
  if (instance.alert && instance.alert->life.condition() > 0) return;
  trouble.times = 1;
  alert(instance);
  Cause cause;
  cause.value = 1;
  Current before = current_;
  with(trouble.key, *trouble_, instance, cause);
  instance.alert->life.set(trouble_->life, now_, 1, on_change_);
  current_ = before;
  run_trouble(trouble);
}

void Monitor::run_trouble(OwnTrouble& trouble) {
  Instance& instance = trouble.key.rules[index_of(*trouble_)];
  if (!instance.alert) return;
  Alert& alert = *instance.alert;
  Current before = current_;
  Cause cause;
  cause.value = static_cast<double>(trouble.times);
  with(trouble.key, *trouble_, instance, cause);
  Micros over = trouble.key.heard + trouble_over_after;
  if (alert.life.condition() > 0 && over <= now_) alert.life.set(trouble_->life, now_, 0, on_change_);
  Micros quiet = quiet_until(*trouble_, trouble.key);
  alert.teller.tick(trouble_->notify, alert.life, now_, quiet, on_notice_);
  current_ = before;
  Micros next = alert.life.condition() > 0 ? over : for_ever;
  next = std::min(next, alert.teller.deadline(trouble_->notify, alert.life, now_, quiet));
  if (next >= trouble.key.clock_turn) return;
  trouble.key.clock_turn = next;
  clocks_.push(next, trouble.key);
}

bool Monitor::acknowledge(Micros now, std::string_view rule_name, std::string_view key_name, std::string_view by) {
  tick(now);
  const RulePlan* rule = rule_named(rule_name);
  if (!rule || !rule->has_condition()) return false;
  Key* key = find(*rule, key_name);
  if (!key) {
    if (names_.size() >= plan_.max_keys || rule == trouble_) return false;
    key = create(key_name);
    key->heard = now_;
  }
  Instance& instance = key->rules[index_of(*rule)];
  LifeCycle& life = alert(instance).life;
  bool counts = life.open() && !life.acknowledged();
  Cause none;
  with(*key, *rule, instance, none);
  life.acknowledge(now_, by, on_change_);
  if (!key->own) schedule(*key);
  return counts;
}

std::uint64_t Monitor::next_event(std::string_view rule_name, std::string_view key_name) {
  const RulePlan* rule = rule_named(rule_name);
  Key* key = rule ? find(*rule, key_name) : nullptr;
  if (!key || !key->rules[index_of(*rule)].alert) return 0;
  touch(*key);
  return key->rules[index_of(*rule)].alert->life.next_event();
}

void Monitor::each_open(const std::function<void(const RulePlan&, const std::string& key)>& visit) const {
  auto visit_open = [&](const Key& key) {
    for (const RulePlan& rule : plan_.rules) {
      const auto& alert = key.rules[index_of(rule)].alert;
      if (alert && alert->life.open()) visit(rule, key.name);
    }
  };
  for (const auto& [hash, key] : names_) visit_open(*key);
  for (const auto& trouble : troubles_)
    if (trouble) visit_open(trouble->key);
}

void Monitor::load_silences(std::vector<Silence> silences) {
  silences_ = std::move(silences);
  for (const Silence& silence : silences_)
    if (silence.once) end_silences_of(silence.key);
}

void Monitor::silence(Micros now, std::vector<Silence> silences) {
  tick(now);
  silences_ = std::move(silences);
  for (const Slot& slot : names_) {
    Key& key = *slot.key;
    bool has_alerts = std::any_of(plan_.rules.begin(), plan_.rules.end(),
                                  [&](const RulePlan& r) { return key.rules[index_of(r)].alert != nullptr; });
    if (!has_alerts) continue;
    key.reschedule = true;
    schedule(key);
  }
  for (const auto& trouble : troubles_)
    if (trouble) run_trouble(*trouble);
  run(now_);
}

const Monitor::Alert* Monitor::alert_of(std::string_view rule_name, std::string_view key_name) const {
  const RulePlan* rule = rule_named(rule_name);
  const Key* key = rule ? find(*rule, key_name) : nullptr;
  return key ? key->rules[index_of(*rule)].alert.get() : nullptr;
}

const LifeCycle* Monitor::life(std::string_view rule, std::string_view key) const {
  const Alert* alert = alert_of(rule, key);
  return alert ? &alert->life : nullptr;
}

const Teller* Monitor::teller(std::string_view rule, std::string_view key) const {
  const Alert* alert = alert_of(rule, key);
  return alert ? &alert->teller : nullptr;
}

}  // namespace millrace::alert
