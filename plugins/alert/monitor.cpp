#include "plugins/alert/monitor.h"

#include <algorithm>
#include <cassert>

#include "plugins/alert/key.h"

namespace millrace::alert {

namespace {

constexpr Micros least_idle = 60LL * 1'000'000;

[[gnu::always_inline]] inline void near(const void* memory) {
  __builtin_prefetch(memory);
  __builtin_prefetch(static_cast<const char*>(memory) + 64);
}

/// The event time at which the arrival clock alone makes the watermark pass `time`.
Micros clock_for(Micros time, Micros late) { return time >= for_ever ? for_ever : time + late + 1; }

}  // namespace

Monitor::Monitor(MonitorPlan plan, Output& output)
    : plan_(std::move(plan)),
      output_(output),
      tracing_(output.traces()),
      late_(plan_.time.by_arrival ? 0 : plan_.time.late),
      groups_(plan_.rules.size()),
      alike_(plan_.inhibitions.size()),
      on_change_([this](const Change& change) { changed(change); }),
      on_notice_([this](const Notice& notice) { notified(notice); }) {
  Micros longest = 0;
  for (const RulePlan& rule : plan_.rules) {
    if (rule.watch == Watch::silence) silence_ = &rule;
    if (rule.watch == Watch::trouble) trouble_ = &rule;
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
  auto found = names_.find(KeyName(name));
  return found == names_.end() ? nullptr : found->key;
}

/// By hash alone: the caller compares the name, once it is near.
Monitor::Key* Monitor::guess(std::string_view name) const {
  auto found = names_.find(KeyName(name).hash);
  return found == names_.end() ? nullptr : found->key;
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
  for (const RulePlan& rule : plan_.rules)
    if (rule.parts.size() > 1) key->rules[index_of(rule)].further = std::make_unique<Window[]>(rule.parts.size() - 1);
  key->reschedule = true;
  names_.insert({KeyName(key->name).hash, key});
  return key;
}

void Monitor::evict(Key& key) {
  output_.forgotten(key.name);
  names_.erase(names_.find(KeyName(key.name)));
  bool listed = key.changed;
  // Its entries among the deadlines and the changed keys stay until their turn; the name is kept for their order.
  std::string name = std::move(key.name);
  key = Key{};
  key.name = std::move(name);
  key.changed = listed;
  free_.push_back(&key);
}

bool Monitor::had_before(const Key& key, const Arrival& arrival) const {
  if (!covered(key, arrival)) return false;
  bool in_hand = message_.source == arrival.source && message_.sequence == arrival.sequence;
  return !in_hand || std::find(message_.keys.begin(), message_.keys.end(), &key) == message_.keys.end();
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
  if (message_.source != arrival.source || message_.sequence != arrival.sequence) {
    if (message_.source != arrival.source && std::find(sources_.begin(), sources_.end(), arrival.source) == sources_.end())
      sources_.push_back(arrival.source);
    message_.source = arrival.source;
    message_.sequence = arrival.sequence;
    message_.keys.clear();
  }
  message_.keys.push_back(&key);
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
  if (key.changed || key.own) return;
  key.changed = true;
  changed_.push_back(&key);
}

TimePolicy Monitor::policy() const {
  TimePolicy policy = plan_.time;
  policy.late += std::max<Micros>(0, -ahead_);
  policy.early += std::max<Micros>(0, ahead_);
  return policy;
}

Micros Monitor::watermark(const Key& key) const {
  if (flushed_) return for_ever;
  Micros by_data = plan_.time.scope == Scope::key ? key.watermark.at : common_.at;
  return std::max(by_data, clock_of(key) - late());
}

void Monitor::record(const Arrival& arrival) { record(arrival, find(arrival.key)); }

inline void Monitor::fetch(const Key& key, Micros time) const {
  for (const RulePlan& rule : plan_.rules) {
    if (!rule.window) continue;
    const Instance& instance = key.rules[index_of(rule)];
    instance.window.prefetch();
    if (instance.window.deadline() >= time) continue;
    instance.window.prefetch_oldest(*rule.window);
    if (!instance.alert) continue;
    near(instance.alert.get());
    near(&instance.alert->teller);
  }
}

inline void Monitor::fetch_values(const Key& key, Micros time) const {
  for (const RulePlan& rule : plan_.rules) {
    if (!rule.window) continue;
    const Window& window = key.rules[index_of(rule)].window;
    window.prefetch_values();
    if (window.deadline() < time) window.prefetch_oldest_values();
  }
}

void Monitor::records(std::span<const Arrival> arrivals) {
  begin_batch();
  // What a record touches lies far apart where there are many keys: fetched in steps, each ahead of the one that needs it.
  constexpr std::size_t ahead = 12;
  std::array<Key*, 16> coming{};
  static_assert(ahead < coming.size());
  auto at = [&](std::size_t i) -> Key*& { return coming[i % coming.size()]; };
  auto known = [&](std::size_t i, std::size_t before) {
    return i >= before && i - before < arrivals.size() ? at(i - before) : nullptr;
  };
  for (std::size_t i = 0; i < arrivals.size() + ahead; ++i) {
    if (i < arrivals.size() && (at(i) = guess(arrivals[i].key))) near(at(i));
    if (Key* key = known(i, 3); key && key->rules) near(key->rules.get());
    if (Key* key = known(i, 6); key && key->rules) fetch(*key, arrivals[i - 6].time);
    if (Key* key = known(i, 9); key && key->rules) fetch_values(*key, arrivals[i - 9].time);
    if (i < ahead) continue;
    const Arrival& arrival = arrivals[i - ahead];
    Key* key = at(i - ahead);
    // It may have been forgotten, or made, since it was looked for.
    bool stands = key && key->rules && key->name == arrival.key;
    record(arrival, stands ? key : find(arrival.key));
  }
}

void Monitor::record(const Arrival& arrival, Key* key) {
  if (key && had_before(*key, arrival)) return;
  now_ = std::max(now_, arrival.arrival);
  if (!holds_.empty()) take_to_hold(arrival);
  // Arriving exactly at the deadline is in time.
  if (key && silence_ && key->heard + silence_->silent_after == now_) key->heard = now_;
  run(now_);
  if (!key || !key->rules) key = find(arrival.key);
  if (!key) {
    if (names_.size() >= plan_.max_keys) {
      output_.refused(arrival.key, Refusal::too_many_keys);
      return meet(Trouble::too_many_keys);
    }
    key = create(arrival.key);
  }
  touch(*key);
  cover(*key, arrival);
  key->heard = now_;
  if (silence_) heard(*key);

  Admission admission = admit(ahead_ == 0 ? plan_.time : policy(), arrival.arrival, arrival.time, watermark(*key));
  if (tracing_) output_.record(arrival.key, arrival.time, arrival.arrival, admission);
  if (admission.outcome == Outcome::dropped) {
    output_.dropped(admission.why);
    return schedule(*key);
  }
  if (!arrival.quotes.empty()) {
    if (!alike_.empty()) relabel(*key, arrival.quotes);
    if (!key->quotes) key->quotes = std::make_unique<std::vector<Quote>>();
    key->quotes->assign(arrival.quotes.begin(), arrival.quotes.end());
  }
  Micros slack = plan_.time.by_arrival ? 0 : plan_.time.out_of_order;
  key->watermark.see(admission.time, slack);
  if (plan_.time.scope == Scope::source) common_.see(admission.time, slack);
  Micros reached = watermark(*key);
  if (admission.time <= reached && (!key->waiting || key->waiting->empty())) {
    process(*key, admission.time, arrival.inputs.data());
  } else {
    if (!key->waiting) key->waiting = std::make_unique<Reorder>();
    if (key->waiting->size() >= plan_.max_samples) {
      output_.refused(arrival.key, Refusal::waiting_room_full);
      meet(Trouble::reorder_buffer_full);
    } else {
      key->waiting->insert(admission.time, arrival.inputs);
    }
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
  let_go_by(for_ever);
  while (events_.next() < for_ever) {
    auto [at, key] = events_.pop();
    if (at == key->event_turn) event_due(*key, at);
  }
}

void Monitor::event_due(Key& key, Micros at) {
  key.event_turn = for_ever;
  touch(key);
  // What has closed stays closed, even if the clock is in doubt afterwards.
  Watermark& reached = plan_.time.scope == Scope::key ? key.watermark : common_;
  if (!flushed_) reached.at = std::max(reached.at, at + 1);
  advance(key, at + 1);
  schedule(key);
}

void Monitor::run(Micros now) {
  let_go_by(now);
  for (;;) {
    Micros event = events_.next();
    Micros event_clock = passed(event) ? never_yet : clock_for(event, late());
    Hold* hold = due_hold();
    Micros held = hold ? hold->events.next() : for_ever;
    Micros held_clock = passed(held) ? never_yet : clock_for(held, late());
    Micros clock = clocks_.next();
    Micros group = grouped_ ? group_deadline() : for_ever;
    Micros first = std::min({event_clock, held_clock, clock, group});
    if (first > now) return;
    if (event_clock == first) {
      auto [at, key] = events_.pop();
      if (at != key->event_turn) continue;
      // Those of keys that are held wait for what their source brings.
      if (Hold* its = passed(event) ? nullptr : hold_of(*key))
        its->events.push(at, *key);
      else
        event_due(*key, at);
    } else if (held_clock == first) {
      auto [at, key] = hold->events.pop();
      if (at == key->event_turn) event_due(*key, at);
    } else if (clock == first) {
      auto [at, key] = clocks_.pop();
      if (at != key->clock_turn) continue;
      key->clock_turn = for_ever;
      key->reschedule = true;
      run_clock(*key);
    } else {
      flush_groups(group);
    }
  }
}

std::optional<Micros> Monitor::deadline() const {
  Micros first =
      std::min({clock_for(events_.next(), late()), clocks_.next(), grouped_ ? group_deadline() : for_ever, hold_deadline()});
  if (first >= for_ever) return std::nullopt;
  return first;
}

Micros Monitor::event_deadline(const Key& key) const {
  Micros first = key.waiting && !key.waiting->empty() ? key.waiting->front() - 1 : for_ever;
  for (const RulePlan& rule : plan_.rules) {
    const Instance& instance = key.rules[index_of(rule)];
    first = std::min(first, instance.window.deadline());
    if (rule.life.by_timer && instance.alert) first = std::min(first, instance.alert->life.deadline(rule.life));
  }
  return first;
}

void Monitor::schedule(Key& key) {
  Micros event = event_deadline(key);
  if (event < key.event_turn) {
    key.event_turn = event;
    events_.push(event, key);
  }
  // A record alone only puts off what the clock brings: an entry too early finds nothing due and makes another.
  if (!std::exchange(key.reschedule, false)) return;
  Micros clock = clock_deadline(key);
  if (clock < key.clock_turn) {
    key.clock_turn = clock;
    clocks_.push(clock, key);
  }
}

}  // namespace millrace::alert
