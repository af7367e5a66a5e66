#include "plugins/alert/monitor.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "plugins/alert/key.h"

namespace millrace::alert {

namespace {

constexpr Micros given_up_after = 7LL * 24 * 3600 * 1'000'000;
constexpr Micros least_idle = 60LL * 1'000'000;

/// The event time at which the arrival clock alone makes the watermark pass `time`.
Micros clock_for(Micros time, Micros late) { return time >= for_ever ? for_ever : time + late + 1; }

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

Monitor::Monitor(MonitorPlan plan, Output& output)
    : plan_(std::move(plan)),
      output_(output),
      tracing_(output.traces()),
      late_(plan_.time.by_arrival ? 0 : plan_.time.late),
      groups_(plan_.rules.size()),
      on_change_([this](const Change& change) { changed(change); }),
      on_notice_([this](const Notice& notice) { notified(notice); }) {
  Micros longest = 0;
  for (const RulePlan& rule : plan_.rules) {
    if (rule.watch == Watch::silence) silence_ = &rule;
    grouped_ |= rule.notify.group.has_value();
    Micros extent = rule.window ? std::max(rule.window->extent.size, rule.window->extent.timeout) : rule.tau;
    for (const Level& level : rule.life.levels) extent = std::max(extent, level.hold);
    longest = std::max({longest, extent, rule.silent_after});
  }
  idle_limit_ = std::max<Micros>(2 * longest, least_idle);
}

Monitor::~Monitor() = default;

void Monitor::start(Micros now, std::span<const std::string> expected) {
  now_ = std::max(now_, now);
  for (const std::string& name : expected) {
    Key* key = find(name);
    if (key || names_.size() >= plan_.max_keys) continue;
    key = create(name);
    key->heard = now_;
    touch(*key);
    schedule(*key);
  }
}

Monitor::Key* Monitor::find(std::string_view name) const {
  auto found = names_.find(name);
  return found == names_.end() ? nullptr : found->second;
}

Monitor::Key* Monitor::create(std::string_view name) {
  Key* key = nullptr;
  if (free_.empty()) {
    key = &keys_.emplace_back();
  } else {
    key = free_.back();
    free_.pop_back();
  }
  key->name = name;
  key->rules = std::make_unique<Instance[]>(plan_.rules.size());
  names_.emplace(key->name, key);
  return key;
}

void Monitor::evict(Key& key) {
  output_.forgotten(key.name);
  names_.erase(key.name);
  bool listed = key.changed;
  // Its entries among the deadlines and the changed keys stay until their turn; the name is kept for their order.
  std::string name = std::move(key.name);
  key = Key{};
  key.name = std::move(name);
  key.changed = listed;
  free_.push_back(&key);
}

bool Monitor::covered(const Key& key, const Arrival& arrival) const {
  if (arrival.source == 0) return false;
  if (key.source == arrival.source) return arrival.sequence <= key.sequence;
  if (!key.further) return false;
  for (const auto& [source, sequence] : *key.further)
    if (source == arrival.source) return arrival.sequence <= sequence;
  return false;
}

void Monitor::cover(Key& key, const Arrival& arrival) {
  if (arrival.source == 0) return;
  if (key.source == 0) key.source = arrival.source;
  if (key.source == arrival.source) {
    key.sequence = arrival.sequence;
    return;
  }
  if (!key.further) key.further = std::make_unique<std::vector<std::pair<std::uint32_t, std::uint64_t>>>();
  for (auto& [source, sequence] : *key.further) {
    if (source != arrival.source) continue;
    sequence = arrival.sequence;
    return;
  }
  key.further->emplace_back(arrival.source, arrival.sequence);
}

void Monitor::touch(Key& key) {
  if (key.changed) return;
  key.changed = true;
  changed_.push_back(&key);
}

Micros Monitor::watermark(const Key& key) const {
  if (flushed_) return for_ever;
  Micros by_data = plan_.time.scope == Scope::key ? key.watermark.at : common_.at;
  return std::max(by_data, now_ - late_);
}

void Monitor::record(const Arrival& arrival) {
  Key* key = find(arrival.key);
  if (key && covered(*key, arrival)) return;
  now_ = std::max(now_, arrival.arrival);
  // Arriving exactly at the deadline is in time.
  if (key && silence_ && key->heard + silence_->silent_after == now_) key->heard = now_;
  run(now_);
  key = find(arrival.key);
  if (!key) {
    if (names_.size() >= plan_.max_keys) return output_.refused(arrival.key, Refusal::too_many_keys);
    key = create(arrival.key);
  }
  touch(*key);
  cover(*key, arrival);
  key->heard = now_;
  if (silence_) heard(*key);

  Admission admission = admit(plan_.time, arrival.arrival, arrival.time, watermark(*key));
  if (tracing_) output_.record(arrival.key, arrival.time, arrival.arrival, admission);
  if (admission.outcome == Outcome::dropped) {
    output_.dropped(admission.why);
    return schedule(*key);
  }
  Micros slack = plan_.time.by_arrival ? 0 : plan_.time.out_of_order;
  key->watermark.see(admission.time, slack);
  if (plan_.time.scope == Scope::source) common_.see(admission.time, slack);
  Micros reached = watermark(*key);
  if (admission.time <= reached && (!key->waiting || key->waiting->empty())) {
    process(*key, admission.time, arrival.inputs.data());
  } else {
    if (!key->waiting) key->waiting = std::make_unique<Reorder>();
    if (key->waiting->size() >= plan_.max_samples)
      output_.refused(arrival.key, Refusal::waiting_room_full);
    else
      key->waiting->insert(admission.time, arrival.inputs);
  }
  advance(*key, reached);
  schedule(*key);
  if (plan_.time.scope == Scope::source) run(now_);
}

void Monitor::tick(Micros now) {
  now_ = std::max(now_, now);
  run(now_);
}

void Monitor::flush() {
  flushed_ = true;
  while (events_.next() < for_ever) {
    auto [at, key] = events_.pop();
    if (at != key->event_turn) continue;
    key->event_turn = for_ever;
    touch(*key);
    advance(*key, at + 1);
    schedule(*key);
  }
}

void Monitor::run(Micros now) {
  for (;;) {
    Micros event = events_.next();
    bool passed = plan_.time.scope == Scope::source && event < common_.at;
    Micros event_clock = passed ? never_yet : clock_for(event, late_);
    Micros clock = clocks_.next();
    Micros group = grouped_ ? group_deadline() : for_ever;
    Micros first = std::min({event_clock, clock, group});
    if (first > now) return;
    if (event_clock == first) {
      auto [at, key] = events_.pop();
      if (at != key->event_turn) continue;
      key->event_turn = for_ever;
      touch(*key);
      advance(*key, at + 1);
      schedule(*key);
    } else if (clock == first) {
      auto [at, key] = clocks_.pop();
      if (at != key->clock_turn) continue;
      key->clock_turn = for_ever;
      run_clock(*key);
    } else {
      for (const RulePlan& rule : plan_.rules)
        if (groups_[index_of(rule)].deadline() == group) flush_group(rule);
    }
  }
}

void Monitor::run_clock(Key& key) {
  if (!key.rules) return;
  if (silence_) silent(key, now_);
  bool quiet = key.heard + idle_limit_ <= now_ && (!key.waiting || key.waiting->empty());
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key.rules[index_of(rule)];
    bool passing = rule.watch == Watch::trailing || rule.watch == Watch::zscore;
    bool remembers = rule.watch == Watch::changed && !is_null(instance.last_value);
    quiet = quiet && (passing || instance.window.empty()) && !remembers && !instance.alert;
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
  key.missed = false;
  if (!instance.alert || instance.alert->life.condition() == 0) return;
  with(key, *silence_, instance, Cause{});
  instance.alert->life.set(silence_->life, now_, 0, on_change_);
}

void Monitor::silent(Key& key, Micros at) {
  Instance& instance = key.rules[index_of(*silence_)];
  Micros deadline = key.heard + silence_->silent_after;
  if (key.missed || key.heard == never_yet || at < deadline) return;
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

void Monitor::process(Key& key, Micros time, const double* inputs) {
  for (const RulePlan& rule : plan_.rules) look(key, rule, key.rules[index_of(rule)], time, inputs);
}

void Monitor::look(Key& key, const RulePlan& rule, Instance& instance, Micros time, const double* inputs) {
  switch (rule.watch) {
    case Watch::silence: return;
    case Watch::window: {
      auto emit = [&](const ClosedWindow& window) { closed(key, rule, instance, window); };
      instance.window.advance(*rule.window, time, emit);
      instance.window.add(*rule.window, time, inputs[rule.input], emit);
      return;
    }
    default: break;
  }
  bool partial = false;
  figures_.clear();
  double value = derive(rule, instance, time, inputs, partial);
  if (tracing_ && rule.watch != Watch::value) output_.derived(rule, key.name, time, value);
  if (!rule.has_condition() || partial) return;
  Cause cause{value, nullptr, figures_};
  evaluate(key, rule, instance, time, value, cause);
}

double Monitor::derive(const RulePlan& rule, Instance& instance, Micros time, const double* inputs, bool& partial) {
  double value = inputs[rule.input];
  switch (rule.watch) {
    case Watch::trailing:
      instance.window.add(*rule.window, time, value, [](const ClosedWindow&) {});
      partial = instance.window.partial_at(time - rule.window->extent.size);
      return figures(rule, instance.window.trailing(*rule.window, time)).front();
    case Watch::zscore: {
      partial = instance.window.partial_at(time - rule.window->extent.size);
      const Slices& before = instance.window.trailing(*rule.window, time);
      std::span<const double> baseline = figures(rule, before);  // count, avg, stddev
      bool enough = !before.empty() && baseline[0] >= static_cast<double>(rule.min_samples);
      double spread = enough ? std::max(baseline[2], rule.min_stddev) : 0;
      double score = is_null(value) || !(spread > 0) ? null_value : (value - baseline[1]) / spread;
      instance.window.add(*rule.window, time, value, [](const ClosedWindow&) {});
      figures_.clear();
      return score;
    }
    case Watch::ewma: {
      if (is_null(value)) return null_value;
      double alpha = is_null(instance.last_value)
                         ? 1
                         : -std::expm1(-static_cast<double>(time - instance.last_time) / static_cast<double>(rule.tau));
      instance.last_value = alpha == 1 ? value : instance.last_value + alpha * (value - instance.last_value);
      instance.last_time = time;
      return instance.last_value;
    }
    case Watch::changed: {
      if (is_null(value)) return null_value;
      double before = std::exchange(instance.last_value, value);
      return !is_null(before) && before != value ? 1 : 0;
    }
    case Watch::distance: return outside(rule.fence, {value, inputs[rule.input + 1]});
    default: return value;
  }
}

void Monitor::advance(Key& key, Micros watermark) {
  if (!key.rules) return;
  if (key.waiting && !key.waiting->empty())
    key.waiting->release(watermark, plan_.inputs, [&](Micros time, const double* inputs) { process(key, time, inputs); });
  for (const RulePlan& rule : plan_.rules) {
    Instance& instance = key.rules[index_of(rule)];
    if (instance.window.deadline() < watermark)
      instance.window.advance(*rule.window, watermark,
                              [&](const ClosedWindow& window) { closed(key, rule, instance, window); });
    if (!instance.alert || !rule.life.by_timer) continue;
    Cause none;
    with(key, rule, instance, none);
    instance.alert->life.advance(rule.life, watermark, on_change_);
  }
}

void Monitor::closed(Key& key, const RulePlan& rule, Instance& instance, const ClosedWindow& window) {
  std::span<const double> row = figures(rule, *window.contents);
  if (tracing_ || !rule.has_condition()) output_.window(rule, key.name, {window, row, now_});
  if (!rule.has_condition() || window.partial) return;
  evaluate(key, rule, instance, window.end, row.front(), Cause{row.front(), &window, row});
}

std::span<const double> Monitor::figures(const RulePlan& rule, const Slices& contents) {
  const SliceLayout& layout = rule.window->layout;
  words_.resize(layout.shape.width());
  contents.total(layout, words_.data());
  if (layout.shape.needs_values()) {
    std::span<const double> kept = contents.values();
    values_.assign(kept.begin(), kept.end());
    arrange(values_, rule.aggregates);
  }
  figures_.clear();
  for (const Aggregate& a : rule.aggregates) figures_.push_back(layout.shape.result(a, words_.data(), values_));
  return figures_;
}

Monitor::Alert& Monitor::alert(Instance& instance) {
  if (!instance.alert) instance.alert = std::make_unique<Alert>();
  return *instance.alert;
}

void Monitor::with(Key& key, const RulePlan& rule, Instance& instance, const Cause& cause) {
  current_ = {&key, &rule, &instance, cause};
}

void Monitor::evaluate(Key& key, const RulePlan& rule, Instance& instance, Micros at, double value, const Cause& cause) {
  if (!instance.alert) {
    bool calm = is_null(value) ? rule.life.on_null != OnNull::yes : next_level(rule.life.levels, 0, value) == 0;
    if (calm) return;
    alert(instance);
  }
  with(key, rule, instance, cause);
  instance.alert->life.evaluate(rule.life, at, value, on_change_);
}

void Monitor::changed(const Change& change) {
  const auto& [key, rule, instance, cause] = current_;
  touch(*key);
  output_.change(*rule, key->name, change, cause, now_);
  if (concerns_people(change)) {
    instance->alert->told_of = change;
    instance->alert->told_of.by = {};
    instance->alert->value = cause.value;
    instance->alert->figures.assign(cause.figures.begin(), cause.figures.end());
  }
  if (rule->notify.group)
    groups_[index_of(*rule)].changed(rule->notify, key->name, instance->alert->life, change, now_);
  else
    instance->alert->teller.changed(rule->notify, instance->alert->life, change, now_, quiet_until(*rule, *key), on_notice_);
}

void Monitor::notified(const Notice& notice) {
  const auto& [key, rule, instance, cause] = current_;
  touch(*key);
  const Alert& about = *instance->alert;
  output_.notice(*rule, key->name, notice, about.told_of, Cause{about.value, nullptr, about.figures}, now_);
}

const RulePlan* Monitor::inhibitor(const RulePlan& rule, const Key& key) const {
  for (std::size_t i : rule.inhibitors) {
    const auto& alert = key.rules[i].alert;
    if (alert && (alert->life.state() == State::firing || alert->life.state() == State::recovering)) return &plan_.rules[i];
  }
  return nullptr;
}

/// The end of an inhibition is not known; schedule() looks again once its rule has changed.
Micros Monitor::quiet_until(const RulePlan& rule, const Key& key) const {
  if (!rule.inhibitors.empty() && inhibitor(rule, key)) return for_ever;
  return silences_.empty() ? now_ : silenced_until(silences_, rule.name, key.name, now_);
}

std::string Monitor::muted_by(const RulePlan& rule, std::string_view name) const {
  if (const Key* key = find(name); key && !rule.inhibitors.empty())
    if (const RulePlan* by = inhibitor(rule, *key)) return "rule:" + by->name;
  for (const Silence& s : silences_)
    if (s.covers(rule.name, name, now_)) return "silence:" + s.id;
  return {};
}

void Monitor::flush_group(const RulePlan& rule) {
  auto silenced = [&](std::string_view name) {
    const Key* key = find(name);
    return key && quiet_until(rule, *key) > now_;
  };
  if (auto notice = groups_[index_of(rule)].flush(rule.notify, now_, silenced)) output_.notice(rule, *notice, now_);
}

const RulePlan* Monitor::rule_named(std::string_view name) const {
  for (const RulePlan& rule : plan_.rules)
    if (rule.name == name) return &rule;
  return nullptr;
}

bool Monitor::acknowledge(Micros now, std::string_view rule_name, std::string_view key_name, std::string_view by) {
  tick(now);
  const RulePlan* rule = rule_named(rule_name);
  if (!rule || !rule->has_condition()) return false;
  Key* key = find(key_name);
  if (!key) {
    if (names_.size() >= plan_.max_keys) return false;
    key = create(key_name);
    key->heard = now_;
  }
  Instance& instance = key->rules[index_of(*rule)];
  LifeCycle& life = alert(instance).life;
  bool counts = life.open() && !life.acknowledged();
  Cause none;
  with(*key, *rule, instance, none);
  life.acknowledge(now_, by, on_change_);
  schedule(*key);
  return counts;
}

void Monitor::silence(Micros now, std::vector<Silence> silences) {
  tick(now);
  silences_ = std::move(silences);
  for (auto& [name, key] : names_) {
    for (const RulePlan& rule : plan_.rules)
      if (key->rules[index_of(rule)].alert) schedule(*key);
  }
  run(now_);
}

std::optional<Micros> Monitor::deadline() const {
  Micros first = std::min({clock_for(events_.next(), late_), clocks_.next(), grouped_ ? group_deadline() : for_ever});
  if (first >= for_ever) return std::nullopt;
  return first;
}

Micros Monitor::group_deadline() const {
  Micros first = for_ever;
  for (const Group& group : groups_) first = std::min(first, group.deadline());
  return first;
}

Micros Monitor::event_deadline(const Key& key) const {
  Micros first = key.waiting && !key.waiting->empty() ? key.waiting->front() - 1 : for_ever;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key.rules[index_of(rule)];
    first = std::min(first, instance.window.deadline());
    if (instance.alert && rule.life.by_timer) first = std::min(first, instance.alert->life.deadline(rule.life));
  }
  return first;
}

Micros Monitor::clock_deadline(const Key& key) const {
  Micros first = key.heard + idle_limit_;
  if (first <= now_) first = now_ + idle_limit_;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key.rules[index_of(rule)];
    if (&rule == silence_ && !key.missed && key.heard != never_yet) {
      bool known = instance.alert && instance.alert->life.condition() > 0;
      first = std::min(first, key.heard + rule.silent_after + (known ? given_up_after : 0));
    }
    if (instance.alert && !rule.notify.group)
      first = std::min(first, instance.alert->teller.deadline(rule.notify, instance.alert->life, now_, quiet_until(rule, key)));
  }
  return first;
}

void Monitor::schedule(Key& key) {
  Micros event = event_deadline(key);
  if (event < key.event_turn) {
    key.event_turn = event;
    events_.push(event, key);
  }
  Micros clock = clock_deadline(key);
  if (clock < key.clock_turn) {
    key.clock_turn = clock;
    clocks_.push(clock, key);
  }
}

const LifeCycle* Monitor::life(std::string_view rule_name, std::string_view key_name) const {
  const RulePlan* rule = rule_named(rule_name);
  const Key* key = find(key_name);
  if (!rule || !key) return nullptr;
  const auto& alert = key->rules[index_of(*rule)].alert;
  return alert ? &alert->life : nullptr;
}

const Teller* Monitor::teller(std::string_view rule_name, std::string_view key_name) const {
  const RulePlan* rule = rule_named(rule_name);
  const Key* key = find(key_name);
  if (!rule || !key) return nullptr;
  const auto& alert = key->rules[index_of(*rule)].alert;
  return alert ? &alert->teller : nullptr;
}

}  // namespace millrace::alert
