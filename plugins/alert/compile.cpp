#include "plugins/alert/compile.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "plugins/alert/formula.h"

namespace millrace::alert {

namespace {

using Node = config::Node;
using Json = nlohmann::json;

Micros micros(const std::optional<Duration>& duration) { return duration ? duration->count() : 0; }

/// 64 bits of FNV-1a: tells whether the part of a rule that its state depends on has changed.
class Digest {
 public:
  Digest& add(std::string_view text) {
    for (char c : text) add_byte(static_cast<unsigned char>(c));
    return add_byte(0xff);
  }
  Digest& add(double number) { return add(fmt::format("{}", number)); }
  Digest& add(Micros number) { return add(fmt::format("{}", number)); }
  std::uint64_t value() const { return value_; }

 private:
  Digest& add_byte(unsigned char byte) {
    value_ = (value_ ^ byte) * 1099511628211ULL;
    return *this;
  }
  std::uint64_t value_ = 14695981039346656037ULL;
};

std::size_t input_for(std::vector<Input>& inputs, const std::string& field, Input::Reading reading = Input::Reading::number,
                      const Node& wanted = {}) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (inputs[i].field == field && inputs[i].reading == reading && inputs[i].wanted.text == wanted.text &&
        inputs[i].wanted.quoted == wanted.quoted)
      return i;
  inputs.push_back({field, reading, wanted});
  return inputs.size() - 1;
}

WindowPlan::Extent extent_of(const WatchOptions& w) {
  WindowPlan::Extent e;
  e.sketch = w.approx;
  if (w.sliding) {
    e.kind = WindowKind::sliding;
    e.size = w.sliding->count();
  } else if (w.snapshot) {
    e.kind = WindowKind::snapshot;
  } else if (w.session) {
    e.kind = WindowKind::session;
    e.timeout = w.session->timeout.count();
    e.max_duration = w.session->max_duration.count();
    e.exact = w.session->exact;
  } else if (w.records) {
    e.kind = WindowKind::count;
    e.records = *w.records;
    e.every = *w.records;
    if (w.every.kind != Node::Kind::null) config::detail::read_integer(w.every, e.every);
  } else {
    e.size = micros(w.within);
    if (w.every.kind == Node::Kind::null) return e;
    e.kind = WindowKind::hopping;
    e.hop = config::parse_duration(w.every.text)->count();
    if (!w.offset.empty()) e.offset = *parse_offset(w.offset);
  }
  return e;
}

void compile_formula(const WatchOptions& w, std::size_t max_samples, std::vector<Input>& inputs, RulePlan& rule) {
  rule.watch = w.windowed() ? Watch::window : Watch::trailing;
  const std::string& text = *w.formula();
  rule.formula = *make_formula(text, rule.name);
  rule.aggregates = {{Aggregate::Kind::last, 0, "value"}};
  auto add = [&](const std::string& field, const std::vector<Aggregate>& aggregates) {
    std::size_t input = input_for(inputs, field);
    rule.parts.push_back({input, aggregates, WindowPlan(extent_of(w), aggregates, max_samples)});
  };
  std::vector<Asked> asked = *asked_by(text);
  std::vector<Aggregate> first{*parse_aggregate("count_all")};
  if (asked.empty()) asked.push_back({"", {}});
  first.insert(first.end(), asked[0].aggregates.begin(), asked[0].aggregates.end());
  add(asked[0].field, first);
  for (std::size_t i = 1; i < asked.size(); ++i) add(asked[i].field, asked[i].aggregates);
  rule.input = rule.parts[0].input;
  rule.window = rule.parts[0].plan;
}

void compile_watch(const WatchOptions& w, std::size_t max_samples, std::vector<Input>& inputs, RulePlan& rule) {
  if (w.formula()) {
    compile_formula(w, max_samples, inputs, rule);
  } else if (!w.value.empty()) {
    rule.watch = Watch::value;
    rule.input = input_for(inputs, w.value);
  } else if (!w.ewma.empty()) {
    rule.watch = Watch::ewma;
    rule.tau = micros(w.tau);
    rule.input = input_for(inputs, w.ewma);
  } else if (!w.distance_outside.empty()) {
    rule.watch = Watch::distance;
    rule.input = inputs.size();  // the pair stands together, so it is never shared
    for (const std::string& field : w.distance_outside) inputs.push_back({field, Input::Reading::number, {}});
    if (!w.accuracy.empty()) inputs.push_back({w.accuracy, Input::Reading::number, {}});
    rule.max_accuracy = w.max_accuracy;
    if (w.circle)
      rule.fence = {{w.circle->latitude, w.circle->longitude}, w.circle->radius, {}};
    else
      rule.fence.corners = *read_geojson(w.fence.text);
  } else if (!w.zscore.empty()) {
    rule.watch = Watch::zscore;
    rule.input = input_for(inputs, w.zscore);
    rule.min_samples = w.min_samples;
    rule.min_stddev = w.min_stddev;
    for (const char* name : {"count", "avg", "stddev"}) rule.aggregates.push_back(*parse_aggregate(name));
    rule.window.emplace(extent_of(w), rule.aggregates, max_samples);
  } else {
    rule.watch = w.windowed() ? Watch::window : Watch::trailing;
    rule.aggregates = *aggregates_of(w);
    rule.input = input_for(inputs, w.aggregate()->second);
    rule.window.emplace(extent_of(w), rule.aggregates, max_samples);
  }
}

void compile_condition(const RuleOptions& options, std::vector<Input>& inputs, RulePlan& rule) {
  std::string severity = options.severity.empty() ? "alert" : options.severity;
  Micros hold = micros(options.hold);
  auto clear = [](const std::optional<ClearOptions>& c) { return c ? c->test() : std::nullopt; };
  for (const auto& [name, level] : options.levels)
    rule.life.levels.push_back({name, *level.test(), clear(level.clear), level.hold ? micros(level.hold) : hold});
  if (auto test = options.test()) rule.life.levels.push_back({severity, *test, clear(options.clear), hold});
  if (options.changed) {
    rule.watch = Watch::changed;
    rule.input = input_for(inputs, options.watch.value, Input::Reading::token);
    rule.life.levels.push_back({severity, {Test::Kind::above, 0}, {}, hold});
  }
  if (options.given() == 1 && !options.test()) {
    bool equals = options.equals.kind != Node::Kind::null;
    rule.input = input_for(inputs, options.watch.value, Input::Reading::same, equals ? options.equals : options.differs);
    rule.life.levels.push_back({severity, {equals ? Test::Kind::above : Test::Kind::at_most, 0}, {}, hold});
  }
  rule.life.by_timer = options.by_timer;
  rule.life.max_gap = micros(options.max_gap);
  rule.life.resolve_after = options.resolve_after.count();
  rule.life.on_null = options.on_null;
  rule.life.latch = options.latch;
}

/// Of a rule, or of the one that watches for silence.
template <class O>
NotifyPlan notify_of(const O& options) {
  NotifyPlan notify;
  notify.repeat = options.repeat.count();
  notify.resolved = options.notify_resolved;
  if (options.flap) notify.flap = {options.flap->opens, options.flap->within.count(), options.flap->quiet.count()};
  if (options.group) notify.group = {options.group->wait.count(), options.group->interval.count()};
  return notify;
}

/// Message, labels, repeat and whatever else only concerns the telling are left out.
std::uint64_t meaning_of(const Options& options, const RulePlan& rule, const std::vector<Input>& inputs,
                         const std::string* script = nullptr) {
  Digest d;
  d.add(options.key)
      .add(static_cast<Micros>(rule.watch))
      .add(rule.tau)
      .add(static_cast<Micros>(rule.min_samples))
      .add(rule.min_stddev);
  if (rule.watch != Watch::silence) {
    d.add(inputs[rule.input].field).add(inputs[rule.input].wanted.text).add(static_cast<Micros>(inputs[rule.input].reading));
    if (rule.watch == Watch::distance) d.add(inputs[rule.input + 1].field);
    if (rule.max_accuracy) d.add(inputs[rule.input + 2].field).add(*rule.max_accuracy);
    if (script) d.add(*script);
  }
  if (rule.window) {
    const WindowPlan::Extent& e = rule.window->extent;
    d.add(static_cast<Micros>(e.kind)).add(e.size).add(e.hop).add(e.offset).add(e.timeout).add(e.max_duration);
    d.add(static_cast<Micros>(e.exact)).add(static_cast<Micros>(e.records)).add(static_cast<Micros>(e.every));
    d.add(static_cast<Micros>(options.max_samples));
    if (e.sketch) d.add("approx");
  }
  for (const Aggregate& a : rule.aggregates) d.add(a.name);
  d.add(rule.fence.centre.latitude).add(rule.fence.centre.longitude).add(rule.fence.radius);
  for (const Position& p : rule.fence.corners) d.add(p.latitude).add(p.longitude);
  auto add_test = [&d](const Test& t) { d.add(static_cast<Micros>(t.kind)).add(t.low).add(t.high); };
  for (const Level& level : rule.life.levels) {
    d.add(level.name).add(level.hold);
    add_test(level.when);
    if (level.clear) add_test(*level.clear);
  }
  d.add(rule.life.max_gap)
      .add(rule.life.resolve_after)
      .add(static_cast<Micros>(rule.life.on_null))
      .add(static_cast<Micros>(rule.life.latch));
  d.add(static_cast<Micros>(rule.life.by_timer)).add(rule.silent_after);
  return d.value();
}

/// Where a rule's value is but whether the field holds a certain text, or another than before, what it holds says more.
std::string default_message(const Input& input) {
  const bool quotable = input.field.find_first_of("{}:") == std::string::npos;
  if (input.reading == Input::Reading::number || !quotable) return "{key}: {rule} at {value:g}";
  return fmt::format("{{key}}: {{rule}}, {0} is {{record.{0}}}", input.field);
}

RuleText text_of(const std::string& message, const std::vector<Aggregate>& aggregates, const config::Map<std::string>& labels,
                 const std::optional<GroupOptions>& group) {
  RuleText text{*message_of(message, aggregates), {}, {}};
  for (const auto& [name, label] : labels) {
    text.labels.emplace_back(name, *label_of(label));
    if (group && std::find(group->by.begin(), group->by.end(), name) != group->by.end())
      text.group_by.push_back(text.labels.size() - 1);
  }
  return text;
}

void compile_no_data(const NoDataOptions& options, Compiled& to) {
  RulePlan rule;
  rule.name = "no_data";
  rule.watch = Watch::silence;
  rule.silent_after = options.after.count();
  rule.restart_grace = options.restart_grace.count();
  rule.life.levels.push_back({options.severity.empty() ? "alert" : options.severity, {}, {}, 0});
  rule.life.latch = options.latch;
  rule.notify = notify_of(options);
  to.plan.rules.push_back(std::move(rule));
  to.texts.push_back(
      text_of(options.message.empty() ? "{key}: no data for {value:g} s" : options.message, {}, options.labels, options.group));
  to.expected = options.expect.keys;
}

void compile_own(Compiled& to) {
  RulePlan rule;
  rule.name = own_rule;
  rule.watch = Watch::trouble;
  rule.life.levels.push_back({"error", {}, {}, 0});
  to.plan.rules.push_back(std::move(rule));
  to.texts.push_back(text_of("{key}", {}, {}, {}));
}

/// Which fields texts quote, and by which an alert's group is known.
void compile_texts(Compiled& to) {
  std::set<std::string> quoted;
  for (const RuleText& text : to.texts) {
    text.message.list_fields(quoted);
    for (const auto& [name, label] : text.labels) label.list_fields(quoted);
  }
  to.quoted.assign(quoted.begin(), quoted.end());
  to.plan.quotes = to.quoted.size();
  for (std::size_t i = 0; i < to.plan.rules.size(); ++i) {
    const RuleText& text = to.texts[i];
    if (!text.labels.empty())
      to.plan.rules[i].labels_of = [labels = text.labels, fields = to.quoted](std::string_view key,
                                                                              std::span<const Quote> quotes) {
        AlertLabels filled;
        for (const auto& [name, label] : labels)
          filled.emplace_back(name, label.fill([&](std::string_view wanted) { return quote_of(wanted, key, quotes, fields); }));
        return filled;
      };
    if (text.group_by.empty()) continue;
    std::vector<Message> by;
    for (std::size_t label : text.group_by) by.push_back(text.labels[label].second);
    to.plan.rules[i].group_of = [by, fields = to.quoted](std::string_view key, std::span<const Quote> quotes) {
      std::string name;
      for (const Message& label : by)
        name += (name.empty() ? "" : ",") +
                label.fill([&](std::string_view wanted) { return quote_of(wanted, key, quotes, fields); });
      return name;
    };
  }
}

}  // namespace

Result<std::vector<Position>> read_geojson(const std::string& text) {
  Error wrong = invalid("expected GeoJSON with a polygon: a list of at least three [longitude, latitude] corners");
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) return wrong;
  try {
    if (json.value("type", "") == "FeatureCollection") json = json.at("features").at(0);
    if (json.value("type", "") == "Feature") json = Json(json.at("geometry"));
    if (json.value("type", "") != "Polygon") return wrong;
    std::vector<Position> corners;
    for (const Json& corner : json.at("coordinates").at(0))
      corners.push_back({corner.at(1).get<double>(), corner.at(0).get<double>()});
    if (corners.size() < 3) return wrong;
    return corners;
  } catch (const Json::exception&) {
    return wrong;
  }
}

Result<std::vector<Aggregate>> aggregates_of(const WatchOptions& watch) {
  std::vector<Aggregate> found;
  if (auto named = watch.aggregate()) found.push_back(*parse_aggregate(named->first));
  for (const std::string& name : watch.also) {
    auto parsed = parse_aggregate(name);
    if (!parsed)
      return invalid(fmt::format("there is no aggregate '{}'{}", name, config::did_you_mean(name, aggregate_names())));
    found.push_back(*parsed);
  }
  return found;
}

Result<Message> message_of(const std::string& text, const std::vector<Aggregate>& aggregates) {
  std::vector<std::string> numbers{"value", "threshold"};
  for (const Aggregate& a : aggregates) numbers.push_back(a.name);
  return Message::parse(text, numbers, {"key", "rule", "level", "from", "to"});
}

Result<Message> label_of(const std::string& text) { return Message::parse(text, {}, {"key"}); }

Quote quote_of(std::string_view name, std::string_view key, std::span<const Quote> quotes,
               const std::vector<std::string>& quoted) {
  if (name == "key") return std::string(key);
  if (!name.starts_with(Message::of_record)) return {};
  name.remove_prefix(Message::of_record.size());
  for (std::size_t i = 0; i < quoted.size() && i < quotes.size(); ++i)
    if (quoted[i] == name) return quotes[i];
  return {};
}

Compiled compile(const Options& options) {
  Compiled compiled;
  MonitorPlan& plan = compiled.plan;
  const TimeOptions& time = options.time;
  plan.time = {time.by_arrival, time.late.count(), time.early.count(), time.out_of_order.count(), time.policy, time.scope};
  plan.max_keys = options.max_keys;
  plan.max_samples = options.max_samples;
  for (const auto& [name, rule_options] : options.rules) {
    RulePlan rule;
    rule.name = name;
    compile_watch(rule_options.watch, options.max_samples, compiled.inputs, rule);
    compile_condition(rule_options, compiled.inputs, rule);
    rule.notify = notify_of(rule_options);
    rule.notify.deescalated = rule_options.notify_deescalated;
    rule.meaning = meaning_of(options, rule, compiled.inputs, rule_options.watch.formula());
    std::string text = rule_options.message.empty() ? default_message(compiled.inputs[rule.input]) : rule_options.message;
    compiled.texts.push_back(text_of(text, rule.aggregates, rule_options.labels, rule_options.group));
    plan.rules.push_back(std::move(rule));
  }
  if (options.no_data) {
    compile_no_data(*options.no_data, compiled);
    plan.rules.back().meaning = meaning_of(options, plan.rules.back(), compiled.inputs);
  }
  compile_own(compiled);
  compile_texts(compiled);
  compile_inhibition(options, compiled);
  plan.inputs = compiled.inputs.size();
  return compiled;
}

Micros look_back(const MonitorPlan& plan) {
  // After ten time constants the weight of what came before is below 1/20,000.
  constexpr Micros time_constants = 10;
  Micros longest = 0;
  for (const RulePlan& rule : plan.rules) {
    Micros reach = std::max(rule.silent_after, time_constants * rule.tau);
    if (rule.window) {
      const WindowPlan::Extent& e = rule.window->extent;
      if (e.kind == WindowKind::count) return for_ever;
      // A session that is cut at the multiples of its longest may last nearly twice as long.
      reach = std::max({reach, e.size, 2 * e.max_duration + e.timeout});
    }
    Micros hold = 0;
    for (const Level& level : rule.life.levels) hold = std::max(hold, level.hold);
    Micros flap = rule.notify.flap ? rule.notify.flap->within + rule.notify.flap->quiet : 0;
    longest = std::max(longest, reach + hold + rule.life.resolve_after + flap);
  }
  return longest + plan.time.late + plan.time.out_of_order;
}

}  // namespace millrace::alert
