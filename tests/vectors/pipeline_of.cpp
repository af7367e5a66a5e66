#include <fmt/format.h>

#include <array>
#include <fstream>
#include <stdexcept>
#include <string_view>

#include "case.h"

namespace millrace::vectors {

namespace {

using Ordered = nlohmann::ordered_json;

std::string ms(std::int64_t millis) { return fmt::format("{}ms", millis); }

std::string ms_of(const Json& object, const char* name, std::int64_t otherwise) { return ms(object.value(name, otherwise)); }

/// Written out in full, as the defaults of the vectors are not the product's. Every input is there when its time is, so there
/// is nothing to catch up with.
Ordered time_of(const Json& config) {
  Json time = config.value("time", Json::object());
  return {{"mode", time.value("mode", "event")},
          {"late", ms_of(time, "late_ms", 5000)},
          {"early", ms_of(time, "early_ms", 300'000)},
          {"out_of_order", ms_of(time, "ooo_ms", 0)},
          {"policy", time.value("policy", "adjust")},
          {"scope", time.value("scope", "key")},
          {"catch_up", "0s"}};
}

void stretch(const Json& window, Ordered& watch) {
  std::string kind = window.at("kind");
  if (kind == "tumbling" || kind == "hopping") {
    watch["within"] = ms(window.at("size_ms"));
    watch["every"] = ms(window.at(kind == "tumbling" ? "size_ms" : "hop_ms"));
    if (window.value("offset_ms", 0) != 0) watch["offset"] = ms(window["offset_ms"]);
  } else if (kind == "sliding") {
    watch["sliding"] = ms(window.at("size_ms"));
  } else if (kind == "snapshot") {
    watch["snapshot"] = true;
  } else if (kind == "session") {
    watch["session"] = {{"timeout", ms(window.at("timeout_ms"))},
                        {"max_duration", ms(window.at("max_ms"))},
                        {"max_check", window.value("max_check", "aligned")}};
  } else if (kind == "count") {
    watch["records"] = window.at("size").get<std::int64_t>();
    if (window.contains("every")) watch["every"] = window["every"].get<std::int64_t>();
  } else {
    throw std::runtime_error("unknown window kind " + kind);
  }
}

/// Conditions look at the first aggregate; without one, the first of those wanted stands there.
Ordered watch_windows(const Json& config, const std::string& looked_at) {
  auto wanted = config.value("aggregates", std::vector<std::string>{});
  std::string first = looked_at;
  if (first.empty()) first = wanted.empty() ? "count" : wanted.front();
  std::erase(wanted, first);
  Ordered watch{{first, "value"}};
  stretch(config.at("window"), watch);
  if (!wanted.empty()) watch["also"] = wanted;
  return watch;
}

Ordered watch_fence(const Json& fence, const std::filesystem::path& folder) {
  Ordered watch{{"distance_outside", {"lat", "lon"}}};
  if (fence.at("type") == "circle") {
    watch["circle"] = {
        {"latitude", fence.at("center").at(0)}, {"longitude", fence.at("center").at(1)}, {"radius", fence.at("radius_m")}};
    return watch;
  }
  Json corners = Json::array();
  for (const Json& point : fence.at("points")) corners.push_back({point.at(1), point.at(0)});
  std::ofstream(folder / "fence.geojson") << Json{{"type", "Polygon"}, {"coordinates", {corners}}}.dump() << "\n";
  watch["fence"] = "fence.geojson";
  return watch;
}

Ordered watch_records(const Json& config, const std::filesystem::path& folder) {
  if (!config.contains("derive")) return {{"value", "value"}};
  const Json& derive = config["derive"];
  std::string kind = derive.at("kind");
  if (kind == "fence") return watch_fence(derive.at("fence"), folder);
  if (kind == "ewma") return {{"ewma", "value"}, {"tau", ms(derive.at("tau_ms"))}};
  Ordered watch{{kind, "value"}, {"within", ms(derive.at("size_ms"))}};
  if (kind == "zscore") {
    watch["min_samples"] = derive.value("min_samples", 2);
    watch["min_stddev"] = derive.value("min_stddev", 0.0);
  }
  return watch;
}

Ordered condition_of(const Json& pair) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> operators{{{">", "above"},
                                                                                    {">=", "at_least"},
                                                                                    {"<", "below"},
                                                                                    {"<=", "at_most"},
                                                                                    {"==", "equals"},
                                                                                    {"!=", "differs"},
                                                                                    {"outside", "outside"},
                                                                                    {"inside", "inside"}}};
  std::string name = pair.at(0);
  for (const auto& [sign, option] : operators)
    if (sign == name) return {{std::string(option), pair.at(1)}};
  throw std::runtime_error("unknown operator " + name);
}

Ordered level_of(const Json& level) {
  Ordered out = condition_of(level.at("when"));
  if (level.contains("clear") && !level["clear"].is_null()) out["clear"] = condition_of(level["clear"]);
  if (level.contains("for_ms")) out["for"] = ms(level["for_ms"]);
  return out;
}

/// The name of a rule's only level if it compares texts or booleans.
std::string only_text_level(const Json& rule) {
  const Json levels = rule.value("levels", Json::array());
  if (levels.size() > 1) return {};
  const Json when = levels.empty() ? rule.value("when", Json()) : levels[0].value("when", Json());
  if (!when.is_array() || when.size() < 2 || !(when[1].is_string() || when[1].is_boolean())) return {};
  return levels.empty() ? "alert" : levels[0].value("level", "alert");
}

bool conditioned(const Json& rule) { return rule.contains("when") || !rule.value("levels", Json::array()).empty(); }

void tell(const Json& rule, Ordered& out) {
  out["latch"] = rule.value("latch", false);
  out["repeat"] = ms_of(rule, "repeat_ms", 0);
  out["notify_resolved"] = rule.value("notify_resolved", true);
  if (rule.contains("flap"))
    out["flap"] = {{"opens", rule["flap"].at("opens")},
                   {"within", ms(rule["flap"].at("within_ms"))},
                   {"quiet", ms(rule["flap"].at("quiet_ms"))}};
  if (rule.contains("group"))
    out["group"] = {{"wait", ms(rule["group"].at("wait_ms"))}, {"interval", ms(rule["group"].at("interval_ms"))}};
}

void raise(const Json& rule, Ordered& out) {
  if (!only_text_level(rule).empty()) {
    // A level compares numbers; a rule without levels compares anything, and its level is its severity.
    const Json levels = rule.value("levels", Json::array());
    out.update(condition_of(levels.empty() ? rule.at("when") : levels[0].at("when")));
    out["severity"] = "warning";
    if (!levels.empty() && levels[0].contains("for_ms")) out["for"] = ms(levels[0]["for_ms"]);
  } else if (rule.value("levels", Json::array()).empty()) {
    out["levels"]["alert"] = level_of({{"when", rule.at("when")}, {"clear", rule.value("clear", Json())}});
  } else {
    for (const Json& level : rule.value("levels", Json::array()))
      out["levels"][level.value("level", "alert")] = level_of(level);
  }
  if (!out.contains("for")) out["for"] = ms_of(rule, "for_ms", 0);
  out["for_mode"] = rule.value("for_mode", "sample");
  if (rule.value("max_gap_ms", 0) > 0) out["max_gap"] = ms(rule["max_gap_ms"]);
  out["resolve_after"] = ms_of(rule, "resolve_after_ms", 0);
  out["on_null"] = rule.value("on_null", "keep");
  out["notify_deescalated"] = rule.value("notify_deescalated", false);
  tell(rule, out);
}

/// The severity is there only because whoever is told again must be told how grave it is; the rows are given the level's name
/// in the vectors.
Ordered no_data_of(const Json& rule) {
  Ordered out{{"after", ms(rule.at("no_data_ms"))}, {"restart_grace", ms_of(rule, "restart_grace_ms", 0)}};
  if (rule.value("repeat_ms", 0) > 0) out["severity"] = "warning";
  if (rule.contains("expect_keys")) out["expect"] = rule["expect_keys"];
  tell(rule, out);
  return out;
}

}  // namespace

std::string severity_level(const Json& config) { return only_text_level(config.value("rule", Json::object())); }

std::string pipeline_of(const Json& config, const std::filesystem::path& folder) {
  Json rule = config.value("rule", Json::object());
  std::string on = rule.value("on", "window");
  Ordered rules = Ordered::object();
  if (config.contains("window")) {
    bool raises = on == "window" && conditioned(rule);
    Ordered& windows = rules["window"];
    windows["watch"] = watch_windows(config, raises ? rule.value("value", std::string()) : std::string());
    if (raises) raise(rule, windows);
  }
  bool raises = on == "record" && conditioned(rule);
  bool nothing_else = !config.contains("window") && !rule.contains("no_data_ms");
  if (config.contains("derive") || raises || nothing_else) {
    Ordered& records = rules["record"];
    records["watch"] = watch_records(config, folder);
    if (raises)
      raise(rule, records);
    else
      records["above"] = 1e300;  // a rule that looks at records needs a condition
  }
  Ordered stage{{"id", "watch"}, {"plugin", "alert"}, {"time", time_of(config)}};
  if (!rules.empty()) stage["rules"] = rules;
  if (rule.contains("no_data_ms")) stage["no_data"] = no_data_of(rule);
  Ordered in{{"id", "in"}, {"plugin", "emulator"}}, out{{"id", "out"}, {"plugin", "null_sink"}};
  Ordered pipeline{{"name", "case"}, {"stages", Ordered::array({in, stage, out})}};
  return pipeline.dump(2) + "\n";  // JSON is YAML
}

}  // namespace millrace::vectors
