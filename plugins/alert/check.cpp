#include "plugins/alert/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "plugins/alert/compile.h"
#include "plugins/alert/formula.h"

namespace millrace::alert {

namespace {

using Node = config::Node;

bool is_number(const Node& node) {
  double number = 0;
  return node.is_scalar() && config::detail::read_number(node, number);
}

std::vector<double> operands(const Test& test) {
  bool two = test.kind == Test::Kind::outside || test.kind == Test::Kind::inside;
  return two ? std::vector{test.low, test.high} : std::vector{test.low};
}

/// The values at which any of the tests may change its mind, and their neighbours: two tests overlap if they do at one of
/// these.
std::vector<double> telling_values(std::initializer_list<const Test*> tests) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  std::vector<double> values;
  for (const Test* test : tests)
    for (double operand : operands(*test))
      values.insert(values.end(), {operand, std::nextafter(operand, infinity), std::nextafter(operand, -infinity)});
  return values;
}

void check_clear(const Test& when, const std::optional<ClearOptions>& clear, const std::function<void(std::string)>& wrong) {
  if (!clear || !clear->test()) return;
  if (auto both = overlap(when, *clear->test()))
    wrong(
        fmt::format("clear overlaps the condition: at about {:g} both hold, and the alert would end and fire at once", *both));
}

void check_levels(const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
  if (rule.levels.empty() && report.given("levels"))
    report.wrong("levels", "levels names none: add one, such as warning: {above: 26}");
  for (std::size_t i = 0; i < rule.levels.size(); ++i) {
    auto test = rule.levels[i].second.test();
    if (rule.levels[i].first == "ok") report.wrong("levels", "a level cannot be called ok");
    for (std::size_t j = i + 1; test && j < rule.levels.size(); ++j) {
      auto higher = rule.levels[j].second.test();
      if (!higher) continue;
      std::vector<double> values = telling_values({&*test, &*higher});
      bool reachable = std::any_of(values.begin(), values.end(), [&](double v) { return test->holds(v) && !higher->holds(v); });
      if (!reachable)
        report.wrong(
            "levels",
            fmt::format("level '{}' is never reached: wherever it holds, the higher level '{}' does; list levels low to high",
                        rule.levels[i].first, rule.levels[j].first));
    }
  }
}

void check_condition(const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
  if (std::string wrong = rule.problem(); !wrong.empty()) report.wrong("", wrong);
  bool own = rule.given() > 0 || rule.changed;
  if (own && !rule.levels.empty()) report.wrong("levels", "a rule has either a condition of its own or levels with conditions");
  if (rule.changed && rule.given() > 0) report.wrong("changed", "changed and another condition exclude each other");
  bool bare = !rule.watch.value.empty();
  if (rule.changed && !bare) report.wrong("changed", "changed needs `watch: {value: FIELD}`");
  if (rule.given() == 1 && !rule.test() && !bare)
    report.wrong(rule.equals.kind == Node::Kind::null ? "differs" : "equals",
                 "a text, true or false needs `watch: {value: FIELD}`; other watches give numbers");
  if (rule.clear && (rule.changed || !rule.test()))
    report.wrong("clear", "clear belongs to a condition on numbers; a level has a clear of its own");
  if (auto test = rule.test(); test && rule.clear)
    check_clear(*test, rule.clear, [&](std::string what) { report.wrong("clear", std::move(what)); });
  if (rule.has_condition()) return;
  for (const char* name :
       {"clear", "for", "for_mode", "max_gap", "resolve_after", "severity", "latch", "repeat", "flap", "group", "inhibited_by"})
    if (report.given(name)) report.wrong(name, fmt::format("{} needs a condition, such as above: 10", name));
  if (!rule.watch.windowed())
    report.wrong("", "without a condition a rule emits its windows, and this watch makes none: add a condition, or `every`");
}

void check_telling(const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
  if (!rule.levels.empty() && !rule.severity.empty()) report.wrong("severity", "the levels are the severities here");
  if (rule.repeat > Duration::zero() && rule.severity.empty() && rule.levels.empty())
    report.wrong("repeat", "repeat needs a severity: people who are told again want to know how grave it is");
  if (rule.group && rule.flap) report.wrong("flap", "a group has no flapping");
}

/// Whether what the rule watches is never less than nothing.
bool never_negative(const WatchOptions& w) {
  constexpr std::string_view names[] = {"count_all", "count", "distinct", "range",    "stddev",
                                        "stddevp",   "rise",  "fall",     "max_rise", "max_fall"};
  auto aggregate = w.aggregate();
  return aggregate && std::find(std::begin(names), std::end(names), aggregate->first) != std::end(names);
}

bool possible(const Test& test) {
  std::vector<double> values = telling_values({&test});
  values.push_back(0);
  return std::any_of(values.begin(), values.end(), [&](double v) { return v >= 0 && test.holds(v); });
}

/// Conditions and ends that no value can meet.
void check_reach(const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
  if (!never_negative(rule.watch)) return;
  std::string what = rule.watch.aggregate()->first;
  auto look = [&](const char* field, const std::string& named, const std::optional<Test>& when,
                  const std::optional<ClearOptions>& clear) {
    if (when && !possible(*when)) report.wrong(field, fmt::format("{} never holds: {} is never negative", named, what));
    if (clear && clear->test() && !possible(*clear->test()))
      report.wrong(field, fmt::format("clear of {} never holds, and it would never end: {} is never negative", named, what));
  };
  look("", "the condition", rule.test(), rule.clear);
  for (const auto& [name, level] : rule.levels) look("levels", "level '" + name + "'", level.test(), level.clear);
}

void check_timing(const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
  if (!rule.max_gap || !rule.watch.within || rule.watch.every.kind == Node::Kind::null) return;
  auto every = config::parse_duration(rule.watch.every.text);
  bool holds = rule.hold && *rule.hold > Duration::zero();
  for (const auto& [name, level] : rule.levels) holds = holds || (level.hold && *level.hold > Duration::zero());
  if (every && holds && *rule.max_gap < *every)
    report.wrong("max_gap", fmt::format("a max_gap of {} is below every ({}): for would never be reached",
                                        config::show_duration(*rule.max_gap), config::show_duration(*every)));
}

template <class C>
void check_labels(const C& rule, config::CheckReport<C>& report) {
  std::vector<std::string> names;
  for (const auto& [name, text] : rule.labels) {
    names.push_back(name);
    if (auto label = label_of(text); !label) report.wrong("labels", fmt::format("label '{}': {}", name, label.error().what));
  }
  if (!rule.group) return;
  for (const std::string& by : rule.group->by)
    if (std::find(names.begin(), names.end(), by) == names.end())
      report.wrong("group",
                   fmt::format("group: by names '{}', and the rule has no such label{}", by, config::did_you_mean(by, names)));
}

std::size_t stretches(const WatchOptions& w) {
  return static_cast<std::size_t>(w.within.has_value()) + w.sliding.has_value() + w.snapshot + w.session.has_value() +
         w.records.has_value();
}

void check_every(const WatchOptions& w, config::CheckReport<WatchOptions>& report) {
  if (w.every.kind != Node::Kind::null) {
    if (w.records) {
      std::int64_t every = 0;
      if (!config::detail::read_integer(w.every, every) || every < 1)
        report.wrong("every", "with records, every is a number of records");
    } else if (w.within) {
      auto every = config::parse_duration(w.every.text);
      if (!every || *every < 1ms)
        report.wrong("every", "with within, every is " + (every ? std::string("at least 1ms") : every.error().what));
    } else {
      report.wrong("every", "every goes with within or records");
    }
  }
  if (w.offset.empty()) return;
  if (!parse_offset(w.offset)) report.wrong("offset", "offset is a duration with its unit, such as 6h or -1ms");
  if (!w.within || w.every.kind == Node::Kind::null) report.wrong("offset", "offset goes with within and every");
}

void check_fence(const WatchOptions& w, config::CheckReport<WatchOptions>& report) {
  bool fence = !w.fence.path.empty();
  if (w.accuracy.empty() != !w.max_accuracy)
    report.wrong(w.max_accuracy ? "max_accuracy" : "accuracy", "accuracy, a field, and max_accuracy, metres, go together");
  if (w.distance_outside.empty()) {
    if (fence || w.circle) report.wrong(fence ? "fence" : "circle", "a fence goes with distance_outside");
    if (w.max_accuracy) report.wrong("max_accuracy", "max_accuracy goes with distance_outside");
    return;
  }
  if (w.distance_outside.size() == 2 && w.distance_outside[0] == w.distance_outside[1])
    report.wrong("distance_outside", "latitude and longitude are two fields");
  if (w.distance_outside.size() != 2) report.wrong("distance_outside", "two fields are needed: [latitude, longitude]");
  if (fence == w.circle.has_value()) report.wrong("distance_outside", "give one fence: a GeoJSON file, or a circle");
  if (!fence) return;
  if (auto corners = read_geojson(w.fence.text); !corners)
    report.wrong("fence", w.fence.path.string() + ": " + corners.error().what);
}

}  // namespace

namespace {

void check_aggregates(const WatchOptions& w, config::CheckReport<WatchOptions>& report) {
  auto aggregates = aggregates_of(w);
  if (!aggregates) return report.wrong("also", aggregates.error().what);
  bool percentile = false;
  std::set<std::string> seen;
  for (const Aggregate& a : *aggregates) {
    percentile |= a.kind == Aggregate::Kind::percentile || a.kind == Aggregate::Kind::percentile_discrete;
    if (!seen.insert(a.name).second) report.wrong("also", fmt::format("{} is there twice", a.name));
  }
  if (const std::string* script = w.formula())
    if (auto asked = asked_by(*script))
      for (const Asked& one : *asked)
        for (const Aggregate& a : one.aggregates)
          percentile |= a.kind == Aggregate::Kind::percentile || a.kind == Aggregate::Kind::percentile_discrete;
  if (w.approx && !percentile) report.wrong("approx", "approx is about percentiles, and there is none here");
}

}  // namespace

std::optional<double> overlap(const Test& a, const Test& b) {
  for (double value : telling_values({&a, &b}))
    if (a.holds(value) && b.holds(value)) return value;
  return std::nullopt;
}

std::size_t ConditionOptions::given() const {
  auto there = [](const Node& node) { return node.kind != Node::Kind::null; };
  return static_cast<std::size_t>(above.has_value()) + at_least.has_value() + below.has_value() + at_most.has_value() +
         !outside.empty() + !inside.empty() + there(equals) + there(differs);
}

std::optional<Test> ConditionOptions::test() const {
  using Kind = Test::Kind;
  if (given() != 1) return std::nullopt;
  if (above) return Test{Kind::above, *above};
  if (at_least) return Test{Kind::at_least, *at_least};
  if (below) return Test{Kind::below, *below};
  if (at_most) return Test{Kind::at_most, *at_most};
  if (outside.size() == 2) return Test{Kind::outside, outside[0], outside[1]};
  if (inside.size() == 2) return Test{Kind::inside, inside[0], inside[1]};
  double number = 0;
  if (is_number(equals) && config::detail::read_number(equals, number)) return Test{Kind::equals, number};
  if (is_number(differs) && config::detail::read_number(differs, number)) return Test{Kind::differs, number};
  return std::nullopt;
}

std::string ConditionOptions::problem() const {
  if (given() > 1)
    return "one condition is enough: above, at_least, below, at_most, outside, inside, equals and differs exclude each other";
  for (const auto* bounds : {&outside, &inside})
    if (!bounds->empty() && (bounds->size() != 2 || (*bounds)[0] > (*bounds)[1]))
      return "outside and inside take [low, high], the lower first";
  for (const Node* node : {&equals, &differs})
    if (node->is_list() || node->is_map()) return "equals and differs take one value";
  return {};
}

void check_level(const LevelOptions& level, config::CheckReport<LevelOptions>& report) {
  if (std::string wrong = level.problem(); !wrong.empty()) return report.wrong("", wrong);
  auto test = level.test();
  if (!test) return report.wrong("", "a level needs a condition on numbers, such as above: 26");
  check_clear(*test, level.clear, [&](std::string what) { report.wrong("clear", std::move(what)); });
}

void check_watch(const WatchOptions& w, config::CheckReport<WatchOptions>& report) {
  std::size_t sorts = !w.value.empty() + !w.ewma.empty() + !w.zscore.empty() + !w.distance_outside.empty();
  std::size_t aggregates = 0;
  for (const std::string& name : WatchOptions::aggregate_options())
    if (report.given(name)) ++aggregates;
  const bool formula = w.formula() != nullptr;
  if (!w.lua.empty() && w.script) return report.wrong("script", "give either lua or script, not both");
  sorts += formula;
  for (const char* any : {"pNN", "pdNN"})
    if (report.given(any) && w.percentile_name.empty())
      return report.wrong(any, fmt::format("'{}' stands for any number in the place of NN, such as p95", any));
  if (aggregates == 1 && !w.aggregate()) return report.wrong("", "the aggregate needs the name of a field");
  if (sorts + aggregates != 1)
    return report.wrong("", "one thing is watched: AGGREGATE: FIELD, value, ewma, zscore, distance_outside, lua or script");
  if (!w.also.empty() && aggregates == 0) report.wrong("also", "also goes with an aggregate");
  if (formula)
    if (auto made = make_formula(*w.formula(), w.script ? w.script->path.filename().string() : "lua"); !made)
      report.wrong(w.script ? "script" : "lua", made.error().what);
  std::size_t wanted = aggregates == 1 || formula || !w.zscore.empty() ? 1 : 0;
  if (stretches(w) != wanted || (!w.zscore.empty() && !w.within))
    report.wrong(
        "", wanted == 0
                ? "a bare value, ewma or distance_outside looks at each record: no window belongs here"
                : (w.zscore.empty() ? "an aggregate, and a script, need one of within, sliding, snapshot, session and records"
                                    : "zscore needs within"));
  if (!w.zscore.empty() && w.windowed()) report.wrong("every", "zscore looks at each record");
  if (w.ewma.empty() != !w.tau.has_value()) report.wrong("tau", "ewma and tau go together");
  for (const char* name : {"min_samples", "min_stddev"})
    if (w.zscore.empty() && report.given(name)) report.wrong(name, fmt::format("{} goes with zscore", name));
  check_aggregates(w, report);
  check_every(w, report);
  check_fence(w, report);
}

void add_checks(config::Fields<RuleOptions>& f) {
  f.check({"watch", "above", "at_least", "below", "at_most", "outside", "inside", "equals", "differs", "changed", "clear",
           "levels"},
          check_condition);
  f.check({"levels"}, check_levels);
  f.check({"watch", "above", "at_least", "below", "at_most", "outside", "inside", "equals", "differs", "clear", "levels"},
          check_reach);
  f.check({"watch", "levels", "for", "max_gap"}, check_timing);
  f.check({"labels", "group"}, check_labels<RuleOptions>);
  f.check({"levels", "severity", "repeat", "group", "flap"}, check_telling);
  f.check({"watch", "message"}, [](const RuleOptions& rule, config::CheckReport<RuleOptions>& report) {
    auto aggregates = aggregates_of(rule.watch);
    if (!aggregates) return;
    if (auto message = message_of(rule.message, *aggregates); !message) report.wrong("message", message.error().what);
  });
}

void add_checks(config::Fields<NoDataOptions>& f) {
  using Report = config::CheckReport<NoDataOptions>;
  f.check({"message"}, [](const NoDataOptions& no_data, Report& report) {
    if (auto message = message_of(no_data.message, {}); !message) report.wrong("message", message.error().what);
  });
  f.check({"repeat", "severity"}, [](const NoDataOptions& no_data, Report& report) {
    if (no_data.repeat > Duration::zero() && no_data.severity.empty()) report.wrong("repeat", "repeat needs a severity");
  });
  f.check({"labels", "group"}, check_labels<NoDataOptions>);
  f.check({"group", "flap"}, [](const NoDataOptions& no_data, Report& report) {
    if (no_data.group && no_data.flap) report.wrong("flap", "a group has no flapping");
  });
}

namespace {

void check_bounds(const Options& options, config::CheckReport<Options>& report) {
  if (options.no_data && options.no_data->expect.keys.size() > options.max_keys)
    report.wrong_at({"no_data", "expect"}, fmt::format("expect lists {} keys, and max_keys is {}",
                                                       options.no_data->expect.keys.size(), options.max_keys));
  for (const auto& [name, rule] : options.rules) {
    const WatchOptions& w = rule.watch;
    if (w.records && *w.records > static_cast<std::int64_t>(options.max_samples))
      report.wrong_at({"rules", name, "watch", "records"},
                      fmt::format("{} records are more than max_samples ({}): raise that, or look at fewer", *w.records,
                                  options.max_samples));
    if (!w.zscore.empty() && w.min_samples > static_cast<std::int64_t>(options.max_samples))
      report.wrong_at({"rules", name, "watch", "min_samples"},
                      fmt::format("so many are never held: max_samples is {}", options.max_samples));
  }
}

}  // namespace

void add_checks(config::Fields<Options>& f) {
  using Report = config::CheckReport<Options>;
  f.check({"rules"}, static_cast<void (*)(const Options&, Report&)>(check_inhibition));
  f.check({"rules", "no_data"}, [](const Options& options, Report& report) {
    if (options.rules.empty() && !options.no_data) report.wrong("", "no rules: add `rules`, or `no_data`");
    for (const auto& [name, rule] : options.rules) {
      if (name == "no_data" && options.no_data)
        report.wrong_at({"rules", name}, "no_data is the name of the rule that watches for silence");
      if (name == own_rule)
        report.wrong_at({"rules", name}, "stage is the name of the rule that tells of trouble in the stage itself");
    }
  });
  f.check({"rules", "no_data", "max_keys", "max_samples"}, check_bounds);
  f.check({"time"}, [](const Options& options, Report& report) {
    if (options.time.by_arrival && !options.time.field.empty())
      report.wrong("time", "mode: arrival does not look at a time field");
  });
}

}  // namespace millrace::alert
