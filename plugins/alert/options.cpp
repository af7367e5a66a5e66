#include "plugins/alert/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "plugins/alert/check.h"

namespace millrace::alert {

namespace {

using Node = config::Node;

constexpr auto longest_window = std::chrono::hours(7 * 24);
constexpr auto longest_lateness = std::chrono::hours(21 * 24);

struct Named {
  const char* name;
  std::string WatchOptions::*field;
  const char* doc;
};

constexpr std::array named_aggregates{
    Named{"count_all", &WatchOptions::count_all, "How many records, whatever the field holds."},
    Named{"count", &WatchOptions::count, "How many records in which this field is a number."},
    Named{"sum", &WatchOptions::sum, "Their sum."},
    Named{"avg", &WatchOptions::avg, "Their mean."},
    Named{"min", &WatchOptions::min, "The least."},
    Named{"max", &WatchOptions::max, "The greatest."},
    Named{"range", &WatchOptions::range, "Greatest minus least."},
    Named{"first", &WatchOptions::first, "The first by event time."},
    Named{"last", &WatchOptions::last, "The last by event time."},
    Named{"distinct", &WatchOptions::distinct, "How many different ones."},
    Named{"stddev", &WatchOptions::stddev, "Standard deviation of a sample (divides by n - 1)."},
    Named{"stddevp", &WatchOptions::stddevp, "Standard deviation of the population (divides by n)."},
    Named{"median", &WatchOptions::median, "The 50th percentile, interpolated."},
    Named{"pNN", &WatchOptions::percentile, "The NNth percentile, interpolated; NN is from 0 to 100: p5, p95, p99.9."},
    Named{"pdNN", &WatchOptions::percentile_discrete, "The smallest value with NN % of all at or below it: pd5, pd95, pd99.9."},
    Named{"delta", &WatchOptions::delta, "Last minus first."},
    Named{"rate", &WatchOptions::rate, "Last minus first, per second between them."},
    Named{"slope", &WatchOptions::slope, "Slope of the best straight line (least squares), per second."},
    Named{"rise", &WatchOptions::rise, "Last minus least: how far it has risen and still stands."},
    Named{"fall", &WatchOptions::fall, "Greatest minus last."},
    Named{"max_rise", &WatchOptions::max_rise, "The largest rise from an earlier to a later value."},
    Named{"max_fall", &WatchOptions::max_fall, "The largest fall from an earlier to a later value."},
};

const std::vector<std::string> severities{"info", "warning", "error", "critical"};

}  // namespace

std::optional<Micros> parse_offset(const std::string& text) {
  bool negative = text.starts_with('-');
  auto span = config::parse_duration(std::string_view(text).substr(negative ? 1 : 0));
  if (!span) return std::nullopt;
  return negative ? -span->count() : span->count();
}

std::optional<std::pair<std::string, std::string>> WatchOptions::aggregate() const {
  for (const Named& named : named_aggregates) {
    const std::string& watched = this->*named.field;
    const bool any = named.field == &WatchOptions::percentile || named.field == &WatchOptions::percentile_discrete;
    if (!watched.empty()) return std::pair{any ? percentile_name : std::string(named.name), watched};
  }
  return std::nullopt;
}

const std::vector<std::string>& WatchOptions::aggregate_options() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    all.reserve(std::size(named_aggregates));
    for (const Named& named : named_aggregates) all.emplace_back(named.name);
    return all;
  }();
  return names;
}

void ClearOptions::describe(config::Fields<ClearOptions>& f) {
  describe_as(f);
  f.check([](const ClearOptions& c, config::CheckReport<ClearOptions>& report) {
    if (std::string wrong = c.problem(); !wrong.empty()) report.wrong("", wrong);
    if (c.given() == 0) report.wrong("", "clear needs a condition, such as below: 5");
    if (c.given() == 1 && !c.test())
      report.wrong("", "clear compares numbers: above, at_least, below, at_most, outside or inside");
  });
}

void LevelOptions::describe(config::Fields<LevelOptions>& f) {
  describe_as(f);
  f.field("clear", &LevelOptions::clear).doc("When this level ends; without it, as soon as its condition no longer holds.");
  f.field("for", &LevelOptions::hold).doc("How long the condition must hold before the level is reached; default: the rule's.");
  f.check(check_level);
}

void SessionOptions::describe(config::Fields<SessionOptions>& f) {
  f.field("timeout", &SessionOptions::timeout)
      .doc("A gap longer than this ends the session.")
      .required()
      .min(1ms)
      .max(longest_window);
  f.field("max_duration", &SessionOptions::max_duration)
      .doc("A session longer than this is cut at the next multiple of it since the epoch.")
      .required()
      .min(1ms)
      .max(longest_window);
  f.choice("max_check", &SessionOptions::exact, {{"aligned", false}, {"exact", true}})
      .doc("`exact` cuts at the session's start plus `max_duration` instead.");
  f.check([](const SessionOptions& s, config::CheckReport<SessionOptions>& report) {
    if (s.timeout > s.max_duration)
      report.wrong("timeout", fmt::format("a timeout of {} is above the max_duration of {}", config::show_duration(s.timeout),
                                          config::show_duration(s.max_duration)));
  });
}

void CircleOptions::describe(config::Fields<CircleOptions>& f) {
  f.field("latitude", &CircleOptions::latitude).doc("Of the centre, in degrees.").required().min(-90.0).max(90.0);
  f.field("longitude", &CircleOptions::longitude).doc("Of the centre, in degrees.").required().min(-180.0).max(180.0);
  f.field("radius", &CircleOptions::radius).doc("In metres.").required().min(0.001);
}

void WatchOptions::describe(config::Fields<WatchOptions>& f) {
  f.field("value", &WatchOptions::value).doc("This field of each record.");
  for (const Named& named : named_aggregates) f.field(named.name, named.field).doc(named.doc);
  f.field("ewma", &WatchOptions::ewma).doc("Exponentially weighted mean of this field, with the time constant `tau`.");
  f.field("zscore", &WatchOptions::zscore)
      .doc("How many standard deviations this field lies from the mean of the records `within` before it.");
  f.field("lua", &WatchOptions::lua)
      .doc("A script's result, from the figures of the window `w`: `return w:avg(\"temperature\") - w:min(\"wall\")`.");
  f.field("script", &WatchOptions::script).doc("The same from a file; saving it makes another rule of it.");
  f.field("distance_outside", &WatchOptions::distance_outside)
      .doc("`[latitude, longitude]` fields: metres outside `circle`, or 1 outside and 0 inside of `fence`.");
  f.field("accuracy", &WatchOptions::accuracy).doc("The field that says how many metres a position may be wrong.");
  f.field("max_accuracy", &WatchOptions::max_accuracy)
      .doc("A position whose accuracy is greater, in metres, is no value.")
      .min(0.0);
  f.field("fence", &WatchOptions::fence).doc("A GeoJSON file whose first polygon is the fence.");
  f.field("circle", &WatchOptions::circle).doc("The fence, as a circle.");
  f.field("within", &WatchOptions::within)
      .doc("Over the time (t - within, t], at each record t; with `every`, over windows.")
      .min(1ms)
      .max(longest_window);
  f.field("every", &WatchOptions::every)
      .doc("With `within`: a window ends at each multiple of this since the epoch. With `records`: at each so many records.");
  f.field("sliding", &WatchOptions::sliding)
      .doc("Over windows that end where a record enters or leaves.")
      .min(1ms)
      .max(longest_window);
  f.field("snapshot", &WatchOptions::snapshot).doc("Over records of equal time.");
  f.field("session", &WatchOptions::session).doc("Over sessions: records with gaps of at most a timeout.");
  f.field("records", &WatchOptions::records).doc("Over the last so many records of a key.").min(1).max(1'000'000);
  f.field("offset", &WatchOptions::offset).doc("Shifts the ends of `every`; -1us makes a window [start, end).");
  f.field("also", &WatchOptions::also).doc("Further aggregates, for the message and the history.");
  f.field("approx", &WatchOptions::approx)
      .doc(
          "Percentiles from buckets, each within 0.8 % of the value at its rank: quicker, and smaller where many values "
          "recur.");
  f.field("tau", &WatchOptions::tau).doc("Time constant of `ewma`.").min(1ms).max(longest_window);
  f.field("min_samples", &WatchOptions::min_samples).doc("Of `zscore`: no value from fewer records before.").min(2);
  f.field("min_stddev", &WatchOptions::min_stddev).doc("Of `zscore`: a smaller standard deviation counts as this.").min(0.0);
  f.check(check_watch);
}

void FlapOptions::describe(config::Fields<FlapOptions>& f) {
  f.field("opens", &FlapOptions::opens)
      .doc("So many openings make an alert flap: people are told once, then left alone.")
      .required()
      .min(2U)
      .max(1000U);
  f.field("within", &FlapOptions::within).doc("The time in which they must come.").required().min(1ms);
  f.field("quiet", &FlapOptions::quiet).doc("It has ended when nothing has changed for this long.").required().min(1ms);
}

void GroupOptions::describe(config::Fields<GroupOptions>& f) {
  f.field("by", &GroupOptions::by)
      .doc("Labels of the rule: alerts that have the same texts there are told together; without it, all of the rule.");
  f.field("wait", &GroupOptions::wait).doc("From the first alert of a group to its first message.");
  f.field("interval", &GroupOptions::interval)
      .doc("Time between messages of a group; `repeat` is looked at only then.")
      .min(1ms);
}

void InhibitorOptions::describe(config::Fields<InhibitorOptions>& f) {
  f.field("rule", &InhibitorOptions::rule).doc("The rule that mutes; a bare text is this one.").required().not_empty();
  f.field("equal", &InhibitorOptions::equal)
      .doc(
          "Labels of both rules: it mutes every key for which these have the texts that they have where it fires; without "
          "them, the same key.")
      .not_empty();
  f.shorthand("rule");
}

void RuleOptions::describe(config::Fields<RuleOptions>& f) {
  f.field("watch", &RuleOptions::watch)
      .doc("What the rule looks at: one aggregate of a field, and over which stretch.")
      .required();
  describe_as(f);
  f.field("changed", &RuleOptions::changed).doc("Holds for a record whose value is another than the one before.");
  f.field("clear", &RuleOptions::clear).doc("When the alert ends; without it, as soon as the condition no longer holds.");
  f.field("for", &RuleOptions::hold).doc("How long the condition must hold before the alert fires.").max(longest_window);
  f.choice("for_mode", &RuleOptions::by_timer, {{"sample", false}, {"timer", true}})
      .doc("`sample`: a record must confirm that `for` or `resolve_after` is over; `timer`: the time alone does.");
  f.field("max_gap", &RuleOptions::max_gap).doc("A longer hole between values restarts `for`.").min(1ms);
  f.field("resolve_after", &RuleOptions::resolve_after)
      .doc("How long the condition must not hold before the alert ends.")
      .max(longest_window);
  f.field("severity", &RuleOptions::severity).doc("Level of the alert where there are no `levels`.").one_of(severities);
  f.field("levels", &RuleOptions::levels).doc("Several grades, low to high, each with a condition.");
  f.choice("on_null", &RuleOptions::on_null, {{"keep", OnNull::keep}, {"false", OnNull::no}, {"true", OnNull::yes}})
      .doc("What a missing value means: no decision, the condition does not hold, or it does.");
  f.field("latch", &RuleOptions::latch).doc("An alert that nobody has acknowledged stays open when its condition ends.");
  f.field("repeat", &RuleOptions::repeat)
      .doc("People are told again each time this long, until it ends or is acknowledged; 0s: never.")
      .reloadable();
  f.field("notify_resolved", &RuleOptions::notify_resolved).doc("Whether people are told that it has ended.").reloadable();
  f.field("notify_deescalated", &RuleOptions::notify_deescalated).doc("Whether people are told of a lower level.").reloadable();
  f.field("flap", &RuleOptions::flap).doc("What counts as flapping.").reloadable();
  f.field("group", &RuleOptions::group).doc("People are told of several keys' alerts of this rule together.").reloadable();
  f.field("inhibited_by", &RuleOptions::inhibited_by)
      .doc(
          "Rules of this stage, or `no_data`: while one of them fires for a key, or for any that has equal labels, people are "
          "not told of this one.")
      .reloadable();
  f.field("message", &RuleOptions::message)
      .doc(
          "Text for people; `{key}`, `{rule}`, `{level}`, `{value:.1f}`, `{threshold}`, the aggregates watched and "
          "`{record.FIELD}` of the key's latest record are filled in.")
      .reloadable();
  f.field("labels", &RuleOptions::labels)
      .doc("Texts that every alert of the rule carries; `{key}` and `{record.FIELD}` are filled in.")
      .reloadable();
  add_checks(f);
}

void NoDataOptions::describe(config::Fields<NoDataOptions>& f) {
  f.field("after", &NoDataOptions::after)
      .doc("An alert is raised for a key of which nothing has arrived for this long.")
      .required()
      .min(1ms)
      .max(longest_window);
  f.field("severity", &NoDataOptions::severity).doc("Level of the alert.").one_of(severities);
  f.field("expect", &NoDataOptions::expect).doc("Keys that are missed from the start on: a list, or a file with one a line.");
  f.field("restart_grace", &NoDataOptions::restart_grace)
      .doc("Added after a restart, for devices that need a while to come back.");
  f.field("repeat", &NoDataOptions::repeat).doc("People are told again each time this long; 0s: never.").reloadable();
  f.field("latch", &NoDataOptions::latch).doc("An alert that nobody has acknowledged stays open when data comes again.");
  f.field("notify_resolved", &NoDataOptions::notify_resolved)
      .doc("Whether people are told that data comes again.")
      .reloadable();
  f.field("flap", &NoDataOptions::flap).doc("What counts as flapping.").reloadable();
  f.field("group", &NoDataOptions::group).doc("People are told of all silent keys together.").reloadable();
  f.field("inhibited_by", &NoDataOptions::inhibited_by)
      .doc("Rules of this stage: while one of them fires for a key, or for any that has equal labels, people are not told.")
      .reloadable();
  f.field("message", &NoDataOptions::message).doc("Text for people.").reloadable();
  f.field("labels", &NoDataOptions::labels)
      .doc("Texts that every such alert carries; `{key}` and `{record.FIELD}` are filled in.")
      .reloadable();
  f.shorthand("after");
  add_checks(f);
}

void TimeOptions::describe(config::Fields<TimeOptions>& f) {
  f.field("field", &TimeOptions::field)
      .doc("The field that says when the event happened; default: the record's time.")
      .not_empty();
  f.choice("unit", &TimeOptions::unit,
           {{"s", config::TimeUnit::seconds}, {"ms", config::TimeUnit::milliseconds}, {"us", config::TimeUnit::microseconds}})
      .doc("What a number in that field counts, from the epoch.");
  f.choice("mode", &TimeOptions::by_arrival, {{"event", false}, {"arrival", true}})
      .doc("`arrival`: the time of arrival is the time of the event, and nothing is late.");
  f.field("late", &TimeOptions::late)
      .doc("Records further behind their arrival are late; windows wait this long for an idle source.")
      .max(longest_lateness);
  f.field("early", &TimeOptions::early).doc("Records further ahead of their arrival are dropped.").max(longest_window);
  f.field("out_of_order", &TimeOptions::out_of_order)
      .doc("Records of a key wait this long, by event time, to be put in order.")
      .max(longest_window);
  f.choice("policy", &TimeOptions::policy, {{"drop", Lateness::drop}, {"adjust", Lateness::adjust}})
      .doc(
          "What becomes of late and misordered records: dropped and counted, or re-dated to the first time that is still "
          "open.");
  f.choice("scope", &TimeOptions::scope, {{"key", Scope::key}, {"source", Scope::source}})
      .doc("Whether each key has a time line of its own or all share one.");
  f.field("catch_up", &TimeOptions::catch_up)
      .doc(
          "After a start, or when a source that was cut off is back, time passes only with the records for at most this long, "
          "until they have caught up with the clock.");
  f.shorthand("field");
}

void Options::describe(config::Fields<Options>& f) {
  f.field("key", &Options::key).doc("What separates one series from another: `device`, or the name of a field.").not_empty();
  f.field("time", &Options::time).doc("How event time is read and how long the stage waits for what is late.");
  f.field("no_data", &Options::no_data).doc("Raises the alert `no_data` for a key that falls silent.");
  f.field("rules", &Options::rules).doc("The rules by name; one without a condition emits its windows and raises nothing.");
  f.field("max_keys", &Options::max_keys).doc("Records of further keys are refused and counted.").min(1U).max(10'000'000U);
  f.field("max_samples", &Options::max_samples)
      .doc(
          "Values and slices of time kept for each key and window; beyond it percentiles and `distinct` are estimates, and "
          "values leave a window a little late.")
      .min(2U)
      .max(1'000'000U);
  add_checks(f);
}

}  // namespace millrace::alert

bool millrace::config::Codec<millrace::alert::ExpectedKeys>::read(const Node& node, alert::ExpectedKeys& to,
                                                                  const FieldReader& field) {
  to.keys.clear();
  if (node.is_list()) {
    bool good = true;
    for (const Node& item : node.items) good &= Codec<std::string>::read(item, to.keys.emplace_back(), field);
    return good;
  }
  std::string path;
  std::string text;
  if (!detail::read_text(node, path)) return field.wrong(node, "a list of keys, or a file of them");
  if (!field.problems.read(path, node.position, text)) return false;
  for (std::size_t from = 0; from < text.size();) {
    std::size_t end = std::min(text.find('\n', from), text.size());
    std::string line = text.substr(from, end - from);
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) to.keys.push_back(std::move(line));
    from = end + 1;
  }
  return true;
}

bool millrace::config::Codec<millrace::alert::Rules>::read(const Node& node, alert::Rules& to, const FieldReader& field) {
  if (Codec<Map<alert::RuleOptions>>::read(node, to, field)) return true;
  alert::check_inhibition(node, to, field.problems);
  return false;
}

void millrace::config::Codec<millrace::alert::WatchOptions>::describe(FieldInfo& info) {
  info.type = "object";
  info.object = declaration_of<alert::WatchOptions>();
}

bool millrace::config::Codec<millrace::alert::WatchOptions>::read(const Node& node, alert::WatchOptions& to,
                                                                  const FieldReader& field) {
  Node declared = node;
  bool good = true;
  for (Entry& entry : declared.entries) {
    const std::string_view prefix = entry.key.starts_with("pd") ? "pd" : "p";
    const std::string_view number = std::string_view(entry.key).substr(std::min(prefix.size(), entry.key.size()));
    if (!entry.key.starts_with(prefix) || number.empty() || number.find_first_not_of("0123456789.") != std::string_view::npos)
      continue;
    if (!to.percentile_name.empty()) {
      field.problems.add(
          entry.position,
          fmt::format("one thing is watched, and '{}' stands there already; `also` takes more aggregates", to.percentile_name));
      return false;
    }
    // Complained of under its own name, and not once more under the one that stands for all.
    if (std::string text; !Codec<std::string>::read(entry.value, text, {entry.key, field.info, field.problems})) {
      entry.value.kind = Node::Kind::scalar;
      entry.value.text = entry.key;
      good = false;
    }
    if (!alert::parse_aggregate(entry.key)) {
      field.problems.add(entry.position,
                         fmt::format("there is no percentile '{}': p0 to p100, such as p95 or p99.9", entry.key));
      entry.key = std::string(prefix) + "50";
      good = false;
    }
    to.percentile_name = std::exchange(entry.key, std::string(prefix) + "NN");
  }
  return declaration_of<alert::WatchOptions>()->read(declared, to, field.name, field.problems) && good;
}
