#include "plugins/alert/telling.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "runner/stage/json.h"

namespace millrace::alert {

namespace {

Time time_of(Micros micros) { return Time{Duration{micros}}; }

Value number(double value) { return is_null(value) ? Value::null() : Value::real(value); }

/// Milliseconds, whole ones as an integer.
Value millis(Micros micros) {
  if (micros % 1000 == 0) return Value::integer(micros / 1000);
  return Value::real(static_cast<double>(micros) / 1000.0);
}

std::int64_t whole_millis(Micros micros) { return floor_div(micros, 1000); }

std::optional<double> present(double value) {
  if (is_null(value)) return std::nullopt;
  return value;
}

Value object_of(Arena& arena, const config::Map<std::string>& texts) {
  FieldList list;
  for (const auto& [name, text] : texts) list.push(arena, arena.copy(name), Value::string(arena.copy(text)));
  return Value::object(list.view());
}

Value figures_of(Arena& arena, const RulePlan& rule, std::span<const double> figures) {
  FieldList list;
  for (std::size_t i = 0; i < figures.size() && i < rule.aggregates.size(); ++i)
    list.push(arena, arena.copy(rule.aggregates[i].name), number(figures[i]));
  return Value::object(list.view());
}

std::string json_of(const Value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

std::string_view kind_of(const RulePlan& rule) {
  if (!rule.window) return "";
  const WindowPlan::Extent& e = rule.window->extent;
  if (e.kind == WindowKind::hopping) return e.hop == e.size ? "tumbling" : "hopping";
  constexpr std::string_view names[] = {"hopping", "sliding", "snapshot", "session", "count", "trailing"};
  return names[static_cast<int>(e.kind)];
}

}  // namespace

double threshold_of(const RulePlan& rule, const Change& change, double value) {
  int about = std::max({change.level, change.level_from, change.level_to});
  if (rule.watch == Watch::silence) return static_cast<double>(rule.silent_after) / 1e6;
  if (rule.watch == Watch::trouble) return null_value;
  if (about < 1 || about > static_cast<int>(rule.life.levels.size())) return null_value;
  const Level& level = rule.life.levels[static_cast<std::size_t>(change.level > 0 ? change.level : about) - 1];
  bool over = change.to == State::ok || change.to == State::recovering || change.to == State::latched;
  const Test& test = over && level.clear ? *level.clear : level.when;
  bool two = test.kind == Test::Kind::outside || test.kind == Test::Kind::inside;
  return two && value > (test.low + test.high) / 2 ? test.high : test.low;
}

Telling::Telling(const Compiled& compiled, std::string pipeline, std::string stage, bool by_device)
    : compiled_(compiled), pipeline_(std::move(pipeline)), stage_(std::move(stage)), by_device_(by_device) {}

std::string Telling::incident(const RulePlan& rule, std::string_view key, std::uint64_t opening) const {
  return store::incident_id(store::dedup_key(pipeline_, stage_, rule.name, key), opening);
}

std::string Telling::level_name(const RulePlan& rule, int level) const {
  return level == 0 ? "ok" : rule.life.levels[static_cast<std::size_t>(level) - 1].name;
}

std::string Telling::message(const Happening& h) const {
  auto fill = [&](std::string_view name) -> Message::Filling {
    if (name == "key") return std::string(h.key);
    if (name == "rule") return h.rule.name;
    if (name == "level") return level_name(h.rule, h.change.level);
    if (name == "from") return std::string(name_of(h.change.from));
    if (name == "to") return std::string(name_of(h.change.to));
    if (name == "threshold") return threshold_of(h.rule, h.change, h.cause.value);
    for (std::size_t i = 0; i < h.cause.figures.size(); ++i)
      if (h.rule.aggregates[i].name == name) return h.cause.figures[i];
    if (name == "value") return h.cause.value;
    return quote_of(name, h.key, h.cause.quotes, compiled_.quoted);
  };
  if (h.change.reason == Reason::ack) return fmt::format("{}: {} acknowledged by {}", h.key, h.rule.name, h.change.by);
  if (h.change.reason == Reason::ack_ignored)
    return fmt::format("{}: {} {}; the acknowledgement by {} is ignored", h.key, h.rule.name,
                       h.change.opening == 0 ? "is not open" : "is acknowledged already", h.change.by);
  if (h.rule.watch == Watch::trouble) return trouble_message(h);
  if (h.rule.watch == Watch::silence && h.change.to == State::ok) return fmt::format("{}: data comes again", h.key);
  std::string text = text_of(h.rule).message.fill(fill);
  return h.change.to == State::ok ? "resolved: " + text : text;
}

std::string Telling::trouble_message(const Happening& h) const {
  std::string what;
  if (h.key == name_of(Trouble::too_many_keys))
    what = fmt::format("records of further keys are refused: there are {} already (max_keys)", compiled_.plan.max_keys);
  else if (h.key == name_of(Trouble::reorder_buffer_full))
    what = fmt::format("records are dropped: more than {} of one key wait to be put in order (max_samples)",
                       compiled_.plan.max_samples);
  else
    what = "the script of a rule fails, which decides nothing then: the log says why";
  if (h.change.to != State::ok) return fmt::format("{}: {}", stage_, what);
  return fmt::format("resolved: {}: {}; {:g} times", stage_, what, h.cause.value);
}

config::Map<std::string> Telling::labels(const RulePlan& rule, std::string_view key, std::span<const Quote> quotes) const {
  return rule.labels_of ? rule.labels_of(key, quotes) : config::Map<std::string>{};
}

config::Map<std::string> Telling::labels(const RulePlan& rule, const GroupNotice& notice) const {
  const RuleText& text = text_of(rule);
  config::Map<std::string> filled;
  std::set<std::string> fields;
  for (std::size_t i = 0; i < text.labels.size(); ++i) {
    const auto& [name, label] = text.labels[i];
    bool common = std::find(text.group_by.begin(), text.group_by.end(), i) != text.group_by.end();
    fields.clear();
    label.list_fields(fields);
    // What differs from key to key is no group's, unless it makes the group.
    if (!common && (!fields.empty() || label.mentions("key"))) continue;
    std::string_view key = notice.firing.empty() ? (notice.resolved.empty() ? "" : notice.resolved[0]) : notice.firing[0];
    filled.emplace_back(
        name, label.fill([&](std::string_view wanted) { return quote_of(wanted, key, notice.quotes, compiled_.quoted); }));
  }
  return filled;
}

void Telling::append_alert(Batch& batch, const Happening& h) const {
  Arena& arena = batch.arena();
  Record& record = batch.append();
  auto text = [&](std::string_view t) { return Value::string(arena.copy(t)); };
  record.kind = kind::alert;
  if (by_device_ && h.rule.watch != Watch::trouble) record.device = arena.copy(h.key);
  record.time = time_of(h.change.at);
  record.arrival = time_of(h.now);
  FieldList& f = record.fields;
  f.reserve(arena, 16);
  f.push(arena, "incident", text(incident(h.rule, h.key, h.change.opening)));
  f.push(arena, "rule", text(h.rule.name));
  f.push(arena, "key", text(h.key));
  f.push(arena, "from", Value::string(name_of(h.change.from)));
  f.push(arena, "to", Value::string(name_of(h.change.to)));
  f.push(arena, "level", text(level_name(h.rule, h.change.level)));
  f.push(arena, "value", number(h.cause.value));
  f.push(arena, "time", millis(h.change.at));
  f.push(arena, "message", text(message(h)));
  f.push(arena, "threshold", number(threshold_of(h.rule, h.change, h.cause.value)));
  f.push(arena, "reason", text(alert::text_of(h.change.reason, h.change.by)));
  if (h.cause.window) {
    f.push(arena, "window_start", millis(h.cause.window->start));
    f.push(arena, "window_end", millis(h.cause.window->end));
  }
  if (!h.cause.figures.empty()) f.push(arena, "aggregates", figures_of(arena, h.rule, h.cause.figures));
  if (auto filled = labels(h.rule, h.key, h.cause.quotes); !filled.empty()) f.push(arena, "labels", object_of(arena, filled));
}

store::Event Telling::event(const Happening& h) const {
  Arena arena;
  const LifePlan& life = h.rule.life;
  store::Event e;
  e.incident_id = incident(h.rule, h.key, h.change.opening);
  e.ordinal = h.change.event;
  e.pipeline = pipeline_;
  e.stage = stage_;
  e.rule = h.rule.name;
  e.rule_hash = fmt::format("{:016x}", h.rule.meaning);
  e.key = h.key;
  e.from_state = name_of(h.change.from);
  e.to_state = name_of(h.change.to);
  auto level = [&](int l) { return l == 0 ? std::string("ok") : life.levels[static_cast<std::size_t>(l) - 1].name; };
  e.level_from = level(h.change.level_from);
  e.level_to = level(h.change.level_to);
  e.reason = alert::text_of(h.change.reason, h.change.by);
  e.opens = h.change.opens;
  e.event_ms = whole_millis(h.change.at);
  e.wall_ms = whole_millis(h.now);
  e.value = present(h.cause.value);
  e.threshold = present(threshold_of(h.rule, h.change, h.cause.value));
  e.window_kind = kind_of(h.rule);
  if (h.cause.window) {
    e.window_start_ms = whole_millis(h.cause.window->start);
    e.window_end_ms = whole_millis(h.cause.window->end);
  }
  for (std::size_t i = 0; i < h.cause.figures.size(); ++i)
    if (h.rule.aggregates[i].kind == Aggregate::Kind::count) e.samples = static_cast<std::int64_t>(h.cause.figures[i]);
  if (!h.cause.figures.empty()) e.aggregates_json = json_of(figures_of(arena, h.rule, h.cause.figures));
  if (auto filled = labels(h.rule, h.key, h.cause.quotes); !filled.empty()) e.labels_json = json_of(object_of(arena, filled));
  e.message = message(h);
  if (h.change.reason == Reason::ack || h.change.reason == Reason::ack_ignored) e.actor = h.change.by;
  return e;
}

void Telling::append_window(Batch& batch, const RulePlan& rule, std::string_view key, const WindowRow& row) const {
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.kind = kind::window;
  if (by_device_) record.device = arena.copy(key);
  record.time = time_of(row.window.end);
  record.arrival = time_of(row.fired_at);
  FieldList& f = record.fields;
  f.reserve(arena, 8 + rule.aggregates.size());
  f.push(arena, "rule", Value::string(arena.copy(rule.name)));
  f.push(arena, "key", Value::string(arena.copy(key)));
  f.push(arena, "start", millis(row.window.start));
  f.push(arena, "end", millis(row.window.end));
  if (row.window.closed_by != ClosedBy::nothing) f.push(arena, "closed_by", Value::string(name_of(row.window.closed_by)));
  if (row.window.partial) f.push(arena, "partial", Value::boolean(true));
  if (row.window.contents->estimates()) f.push(arena, "estimated", Value::boolean(true));
  if (double error = row.window.contents->relative_error(); error > 0) f.push(arena, "relative_error", number(error));
  for (std::size_t i = 0; i < rule.aggregates.size(); ++i)
    f.push(arena, arena.copy(rule.aggregates[i].name), number(row.figures[i]));
}

void Telling::append_notification(Batch& batch, const Notification& n, std::string_view link) const {
  Arena& arena = batch.arena();
  Record& record = batch.append();
  auto text = [&](std::string_view t) { return Value::string(arena.copy(t)); };
  auto list = [&](const std::vector<std::string>& keys) {
    Value* items = arena.allocate<Value>(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) items[i] = text(keys[i]);
    return Value::list({items, keys.size()});
  };
  record.kind = kind::notification;
  if (by_device_ && !n.key.empty() && n.rule != own_rule) record.device = arena.copy(n.key);
  record.time = time_of(n.time);
  record.arrival = time_of(n.now);
  record.meta.push(arena, "link", text(link));
  FieldList& f = record.fields;
  f.reserve(arena, 16);
  f.push(arena, "id", text(n.id));
  f.push(arena, "type", text(n.type));
  f.push(arena, "incident", text(n.incident));
  f.push(arena, "rule", text(n.rule));
  f.push(arena, "key", text(n.key));
  f.push(arena, "level", text(n.level));
  f.push(arena, "from", Value::string(name_of(n.from)));
  f.push(arena, "to", Value::string(name_of(n.to)));
  f.push(arena, "value", number(n.value));
  f.push(arena, "time", millis(n.time));
  f.push(arena, "message", text(n.message));
  f.push(arena, "quiet", Value::boolean(n.quiet));
  if (!n.firing.empty() || !n.resolved.empty()) {
    f.push(arena, "firing", list(n.firing));
    f.push(arena, "resolved", list(n.resolved));
  }
  if (!n.labels.empty()) f.push(arena, "labels", object_of(arena, n.labels));
}

}  // namespace millrace::alert
