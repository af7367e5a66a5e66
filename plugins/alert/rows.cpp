#include "plugins/alert/rows.h"

#include <fmt/format.h>

#include <optional>

namespace millrace::alert {

namespace {

std::int64_t whole_millis(Micros micros) { return floor_div(micros, 1000); }

std::optional<std::int64_t> present(Micros micros) {
  if (micros == never_yet) return std::nullopt;
  return whole_millis(micros);
}

}  // namespace

store::State state_row(const Telling& telling, const Monitor& monitor, const RulePlan& rule, const std::string& key) {
  store::State s;
  s.pipeline = telling.pipeline();
  s.stage = telling.stage();
  s.rule = rule.name;
  s.key = key;
  s.rule_hash = fmt::format("{:016x}", rule.meaning);
  const LifeCycle* life = monitor.life(rule.name, key);
  if (!life) return s;
  s.state = name_of(life->state());
  s.level = telling.level_name(rule, life->condition());
  s.since_json = "[";
  for (Micros since : life->since())
    s.since_json += fmt::format("{}{}", s.since_json.size() > 1 ? "," : "",
                                since == never_yet ? "null" : std::to_string(whole_millis(since)));
  s.since_json += "]";
  if (life->open()) s.incident_id = telling.incident(rule, key, life->openings());
  s.opening = life->openings();
  s.events = life->events();
  s.lower_since_ms = present(life->lower_since());
  s.last_eval_ms = present(life->last_evaluation());
  if (life->acknowledged()) s.acked_by = life->acknowledged_by();
  const Teller* teller = monitor.teller(rule.name, key);
  s.last_notified_ms = present(teller->last_told());
  s.owed = teller->owed();
  return s;
}

store::Event remark_row(const Telling& telling, const Monitor& monitor, const Remark& remark) {
  const LifeCycle* life = monitor.life(remark.rule.name, remark.key);
  const bool current = life->open() && life->openings() == remark.opening;
  store::Event e;
  e.incident_id = telling.incident(remark.rule, remark.key, remark.opening);
  e.pipeline = telling.pipeline();
  e.stage = telling.stage();
  e.rule = remark.rule.name;
  e.rule_hash = fmt::format("{:016x}", remark.rule.meaning);
  e.key = remark.key;
  e.from_state = e.to_state = current ? name_of(life->state()) : name_of(State::ok);
  e.level_from = e.level_to = telling.level_name(remark.rule, current ? life->level() : 0);
  e.reason = remark.reason;
  e.event_ms = e.wall_ms = to_whole_millis(remark.at);
  e.actor = remark.by;
  e.comment = remark.comment;
  e.suppressed_by = remark.suppressed_by;
  return e;
}

EndedAlert ended_alert(const store::State& state, std::string level, bool removed, Time now) {
  EndedAlert ended;
  store::Event& e = ended.event;
  e.incident_id = state.incident_id;
  e.ordinal = state.events + 1;
  e.pipeline = state.pipeline;
  e.stage = state.stage;
  e.rule = state.rule;
  e.rule_hash = state.rule_hash;
  e.key = state.key;
  e.from_state = state.state;
  e.to_state = "OK";
  e.level_from = std::move(level);
  e.level_to = "ok";
  e.reason = removed ? "rule_removed" : "rule_changed";
  e.event_ms = e.wall_ms = to_whole_millis(now);
  e.message = fmt::format("{}: {} ended, because the rule was {}", state.key, state.rule, removed ? "removed" : "changed");
  store::State& after = ended.state;
  after = state;
  after.state = "OK";
  after.level = "ok";
  after.incident_id.clear();
  after.since_json.clear();
  after.acked_by.clear();
  after.owed.clear();
  ++after.events;
  return ended;
}

void append_ended(Batch& batch, const store::Event& event, Time now) {
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.kind = kind::alert;
  record.time = record.arrival = now;
  auto push = [&](std::string_view name, const std::string& text) {
    record.fields.push(arena, name, Value::string(arena.copy(text)));
  };
  push("incident", event.incident_id);
  push("rule", event.rule);
  push("key", event.key);
  push("from", event.from_state);
  push("to", event.to_state);
  push("level", event.level_from);
  record.fields.push(arena, "time", Value::integer(event.event_ms));
  push("message", event.message);
  push("reason", event.reason);
}

}  // namespace millrace::alert
