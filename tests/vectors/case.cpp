#include "case.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "plugins/alert/monitor.h"

namespace millrace::vectors {

namespace {

using namespace millrace::alert;

constexpr Micros ms(std::int64_t millis) { return millis * 1000; }

Json millis(Micros time) { return time / 1000; }
Json number(double value) { return is_null(value) ? Json() : Json(value); }

Micros ms_of(const Json& object, const char* name, std::int64_t otherwise) { return ms(object.value(name, otherwise)); }

TimePolicy time_of(const Json& config) {
  Json time = config.value("time", Json::object());
  TimePolicy policy;
  policy.by_arrival = time.value("mode", "event") == "arrival";
  policy.late = ms_of(time, "late_ms", 5000);
  policy.early = ms_of(time, "early_ms", 300000);
  policy.out_of_order = ms_of(time, "ooo_ms", 0);
  policy.policy = time.value("policy", "adjust") == "drop" ? Lateness::drop : Lateness::adjust;
  policy.scope = time.value("scope", "key") == "source" ? Scope::source : Scope::key;
  return policy;
}

WindowPlan::Extent extent_of(const Json& window) {
  WindowPlan::Extent e;
  std::string kind = window.at("kind");
  e.size = ms_of(window, "size_ms", 0);
  e.offset = ms_of(window, "offset_ms", 0);
  e.hop = kind == "tumbling" ? e.size : ms_of(window, "hop_ms", 0);
  e.timeout = ms_of(window, "timeout_ms", 0);
  e.max_duration = ms_of(window, "max_ms", 0);
  e.exact = window.value("max_check", "aligned") == "exact";
  constexpr std::array<std::pair<std::string_view, WindowKind>, 6> kinds{{{"tumbling", WindowKind::hopping},
                                                                          {"hopping", WindowKind::hopping},
                                                                          {"sliding", WindowKind::sliding},
                                                                          {"snapshot", WindowKind::snapshot},
                                                                          {"session", WindowKind::session},
                                                                          {"count", WindowKind::count}}};
  for (const auto& [name, value] : kinds)
    if (name == kind) e.kind = value;
  if (e.kind == WindowKind::trailing) throw std::runtime_error("unknown window kind " + kind);
  if (e.kind == WindowKind::count) {
    e.records = window.at("size");
    e.every = window.value("every", e.records);
  }
  return e;
}

Aggregate aggregate_of(const std::string& name) {
  if (auto found = parse_aggregate(name)) return *found;
  throw std::runtime_error("unknown aggregate " + name);
}

Test test_of(const Json& pair) {
  constexpr std::array<std::pair<std::string_view, Test::Kind>, 8> operators{{{">", Test::Kind::above},
                                                                              {">=", Test::Kind::at_least},
                                                                              {"<", Test::Kind::below},
                                                                              {"<=", Test::Kind::at_most},
                                                                              {"==", Test::Kind::equals},
                                                                              {"!=", Test::Kind::differs},
                                                                              {"outside", Test::Kind::outside},
                                                                              {"inside", Test::Kind::inside}}};
  std::string name = pair.at(0);
  for (const auto& [text, kind] : operators) {
    if (text != name) continue;
    const Json& operand = pair.at(1);
    if (operand.is_array()) return {kind, operand.at(0), operand.at(1)};
    return {kind, operand, 0};
  }
  throw std::runtime_error("unknown operator " + name);
}

LifePlan life_of(const Json& rule) {
  LifePlan life;
  for (const Json& level : rule.at("levels")) {
    Level l{level.at("level"), test_of(level.at("when")), {}, ms_of(level, "for_ms", rule.value("for_ms", 0))};
    if (level.contains("clear") && !level["clear"].is_null()) l.clear = test_of(level["clear"]);
    life.levels.push_back(std::move(l));
  }
  life.by_timer = rule.value("for_mode", "sample") == "timer";
  life.max_gap = ms_of(rule, "max_gap_ms", 0);
  life.resolve_after = ms_of(rule, "resolve_after_ms", 0);
  std::string on_null = rule.value("on_null", "keep");
  life.on_null = on_null == "keep" ? OnNull::keep : on_null == "false" ? OnNull::no : OnNull::yes;
  life.latch = rule.value("latch", false);
  return life;
}

NotifyPlan notify_of(const Json& rule) {
  NotifyPlan notify;
  notify.repeat = ms_of(rule, "repeat_ms", 0);
  notify.resolved = rule.value("notify_resolved", true);
  notify.deescalated = rule.value("notify_deescalated", false);
  if (rule.contains("flap"))
    notify.flap = {rule["flap"].at("opens"), ms_of(rule["flap"], "within_ms", 0), ms_of(rule["flap"], "quiet_ms", 0)};
  if (rule.contains("group")) notify.group = {ms_of(rule["group"], "wait_ms", 0), ms_of(rule["group"], "interval_ms", 0)};
  return notify;
}

Fence fence_of(const Json& fence) {
  Fence f;
  auto position = [](const Json& pair) { return Position{pair.at(0), pair.at(1)}; };
  if (fence.at("type") == "circle") {
    f.centre = position(fence.at("center"));
    f.radius = fence.at("radius_m");
    return f;
  }
  for (const Json& corner : fence.at("points")) f.corners.push_back(position(corner));
  return f;
}

void derive(const Json& config, std::size_t max_samples, RulePlan& rule) {
  std::string kind = config.at("kind");
  WindowPlan::Extent e;
  e.size = ms_of(config, "size_ms", 0);
  if (kind == "fence") {
    rule.watch = Watch::distance;
    rule.fence = fence_of(config.at("fence"));
  } else if (kind == "ewma") {
    rule.watch = Watch::ewma;
    rule.tau = ms_of(config, "tau_ms", 0);
  } else if (kind == "zscore") {
    rule.watch = Watch::zscore;
    rule.min_samples = config.value("min_samples", 2);
    rule.min_stddev = config.value("min_stddev", 0.0);
    for (const char* name : {"count", "avg", "stddev"}) rule.aggregates.push_back(aggregate_of(name));
    rule.window.emplace(e, rule.aggregates, max_samples);
  } else {
    rule.watch = Watch::trailing;
    rule.aggregates.push_back(aggregate_of(kind));
    rule.window.emplace(e, rule.aggregates, max_samples);
  }
}

/// The stage that a case describes: one rule for its windows, one for its records, one for silence.
MonitorPlan plan_of(const Json& config) {
  MonitorPlan plan;
  plan.time = time_of(config);
  plan.inputs = 2;
  Json rule = config.value("rule", Json::object());
  bool conditioned = rule.contains("levels") && !rule["levels"].empty();
  std::string on = rule.value("on", config.contains("rule") ? "window" : "none");
  NotifyPlan notify = notify_of(rule);
  if (config.contains("window")) {
    RulePlan windows;
    windows.name = "window";
    windows.watch = Watch::window;
    std::string looked_at = on == "window" ? rule.value("value", std::string()) : std::string();
    if (!looked_at.empty()) windows.aggregates.push_back(aggregate_of(looked_at));
    for (const Json& name : config.value("aggregates", Json::array()))
      if (name != looked_at) windows.aggregates.push_back(aggregate_of(name));
    windows.window.emplace(extent_of(config["window"]), windows.aggregates, plan.max_samples);
    if (on == "window" && conditioned) windows.life = life_of(rule);
    windows.notify = notify;
    plan.rules.push_back(std::move(windows));
  }
  if (config.contains("derive") || (on == "record" && conditioned)) {
    RulePlan records;
    records.name = "record";
    if (config.contains("derive")) derive(config["derive"], plan.max_samples, records);
    if (on == "record" && conditioned) records.life = life_of(rule);
    records.notify = notify;
    plan.rules.push_back(std::move(records));
  }
  if (rule.contains("no_data_ms")) {
    RulePlan silence;
    silence.name = "no_data";
    silence.watch = Watch::silence;
    silence.silent_after = ms_of(rule, "no_data_ms", 0);
    silence.restart_grace = ms_of(rule, "restart_grace_ms", 0);
    silence.life.levels.push_back({"alert", {}, {}, 0});
    silence.life.latch = rule.value("latch", false);
    silence.notify = notify;
    plan.rules.push_back(std::move(silence));
  }
  return plan;
}

class Recorder final : public Output {
 public:
  Recorder() {
    for (const char* section : {"records", "windows", "derived", "transitions", "notifications"}) rows[section] = Json::array();
  }

  Rows rows;

  bool traces() const override { return true; }

  void record(std::string_view key, Micros time, Micros arrival, const Admission& a) override {
    Json row{{"ts_ms", millis(time)}, {"arrival_ms", millis(arrival)}, {"key", key}, {"outcome", name_of(a.outcome)}};
    if (a.outcome != Outcome::dropped) row["system_ms"] = millis(a.time);
    if (a.why != Why::fine) row["why"] = name_of(a.why);
    rows["records"].push_back(std::move(row));
  }

  void derived(const RulePlan&, std::string_view key, Micros time, double value) override {
    rows["derived"].push_back({{"key", key}, {"t_ms", millis(time)}, {"value", number(value)}});
  }

  void window(const RulePlan& rule, std::string_view key, const alert::WindowRow& w) override {
    Json row{{"key", key},
             {"start_ms", millis(w.window.start)},
             {"end_ms", millis(w.window.end)},
             {"fired_at_ms", millis(w.fired_at)}};
    if (w.window.closed_by != ClosedBy::nothing) row["closed_by"] = name_of(w.window.closed_by);
    if (w.window.partial) row["partial"] = true;
    for (std::size_t i = 0; i < rule.aggregates.size(); ++i) row[rule.aggregates[i].name] = number(w.figures[i]);
    rows["windows"].push_back(std::move(row));
  }

  void change(const RulePlan& rule, std::string_view key, const Change& c, const Cause&, Micros) override {
    rows["transitions"].push_back({{"key", key},
                                   {"from", name_of(c.from)},
                                   {"to", name_of(c.to)},
                                   {"at_ms", millis(c.at)},
                                   {"level", level_name(rule, c.level)},
                                   {"reason", text_of(c.reason, c.by)},
                                   {"incident", incident(rule, key, c.opening)}});
  }

  void notice(const RulePlan& rule, std::string_view key, const Notice& n, const Change&, const Cause&, Micros now) override {
    Json row{{"at_ms", millis(now)},
             {"type", name_of(n.type)},
             {"key", key},
             {"level", level_name(rule, n.level)},
             {"incident", incident(rule, key, n.opening)}};
    if (n.quiet) row["quiet"] = true;
    rows["notifications"].push_back(std::move(row));
  }

  void notice(const RulePlan&, const GroupNotice& n, Micros now) override {
    rows["notifications"].push_back(
        {{"at_ms", millis(now)}, {"type", name_of(n.type)}, {"firing", n.firing}, {"resolved", n.resolved}});
  }

 private:
  static std::string level_name(const RulePlan& rule, int level) {
    return level == 0 ? "ok" : rule.life.levels[static_cast<std::size_t>(level) - 1].name;
  }
  static std::string incident(const RulePlan& rule, std::string_view key, std::uint64_t opening) {
    return opening == 0 ? "0" : rule.name + "/" + std::string(key) + "#" + std::to_string(opening);
  }
};

void apply_record(const Json& input, Monitor& monitor) {
  std::string key = input.at("key");
  const Json& value = input.at("value");
  std::array<double, 2> inputs{null_value, null_value};
  if (value.is_number()) inputs[0] = value;
  if (value.is_array()) inputs = {value.at(0), value.at(1)};
  Arrival arrival;
  arrival.time = ms(input.at("ts_ms"));
  arrival.arrival = ms_of(input, "arrival_ms", input.at("ts_ms"));
  arrival.key = key;
  arrival.inputs = inputs;
  monitor.record(arrival);
}

void acknowledge(const Json& input, Monitor& monitor) {
  std::string key = input.at("ack");
  std::string by = input.at("by");
  std::string rule;
  for (const RulePlan& candidate : monitor.plan().rules) {
    if (!candidate.has_condition()) continue;
    const LifeCycle* life = monitor.life(candidate.name, key);
    if (rule.empty() || (life && life->open())) rule = candidate.name;
  }
  monitor.acknowledge(ms(input.at("at_ms")), rule, key, by);
}

/// The process is lost and starts again: what was saved goes into a new monitor.
std::unique_ptr<Monitor> restart(Monitor& before, const Json& input, bool windows_kept, std::vector<std::string>& keys,
                                 Output& output, const std::vector<Silence>& silences) {
  for (std::string& key : before.take_changed())
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(std::move(key));
  auto after = std::make_unique<Monitor>(before.plan(), output);
  after->load_silences(silences);
  if (!after->load_common(before.save_common())) throw std::runtime_error("the common part did not survive the restart");
  for (const std::string& key : keys)
    if (!after->load(key, before.save(key))) throw std::runtime_error("key " + key + " did not survive the restart");
  after->restarted(ms(input.at("down_ms")), ms(input.at("up_ms")), windows_kept);
  return after;
}

}  // namespace

Rows run_case(const Json& config, const Json& inputs) {
  Recorder recorder;
  auto monitor = std::make_unique<Monitor>(plan_of(config), recorder);
  Json rule = config.value("rule", Json::object());
  std::vector<Silence> silences;
  for (const Json& s : rule.value("silences", Json::array()))
    silences.push_back({"", ms(s.at("from_ms")), ms(s.at("to_ms")), "", s.value("key", std::string())});
  monitor->load_silences(silences);
  std::vector<std::string> expected = rule.value("expect_keys", std::vector<std::string>{});
  if (config.contains("start_ms")) monitor->start(ms(config["start_ms"]), expected);
  bool windows_kept = config.value("restart_windows", "kept") != "lost";
  std::vector<std::string> keys;
  for (const Json& input : inputs) {
    if (input.contains("tick_ms"))
      monitor->tick(ms(input["tick_ms"]));
    else if (input.contains("flush"))
      monitor->flush();
    else if (input.contains("ack"))
      acknowledge(input, *monitor);
    else if (input.contains("restart"))
      monitor = restart(*monitor, input["restart"], windows_kept, keys, recorder, silences);
    else
      apply_record(input, *monitor);
  }
  return recorder.rows;
}

}  // namespace millrace::vectors
