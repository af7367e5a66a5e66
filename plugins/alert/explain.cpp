#include "plugins/alert/explain.h"

#include <fmt/format.h>

#include "runner/config/values.h"

namespace millrace::alert {

namespace {

using config::show_duration;
using Node = config::Node;

std::string tests_of(const ConditionOptions& c) {
  if (c.above) return fmt::format("above {}", *c.above);
  if (c.at_least) return fmt::format("at least {}", *c.at_least);
  if (c.below) return fmt::format("below {}", *c.below);
  if (c.at_most) return fmt::format("at most {}", *c.at_most);
  if (c.outside.size() == 2) return fmt::format("outside [{}, {}]", c.outside[0], c.outside[1]);
  if (c.inside.size() == 2) return fmt::format("inside [{}, {}]", c.inside[0], c.inside[1]);
  if (c.equals.kind != Node::Kind::null) return fmt::format("equal to {}", c.equals.text);
  return fmt::format("other than {}", c.differs.text);
}

std::string ends_of(const WatchOptions& w) {
  std::string ends = fmt::format("each end a multiple of {} since the epoch", w.every.text);
  if (w.offset.empty()) return ends;
  bool less = w.offset.starts_with('-');
  return fmt::format("{} {} {}", ends, less ? "less" : "plus", less ? w.offset.substr(1) : w.offset);
}

std::string stretch_of(const WatchOptions& w, const TimeOptions& time) {
  std::string closing = time.by_arrival ? "" : fmt::format("; without data it closes {} after", show_duration(time.late));
  if (w.sliding) return fmt::format("over (T-{}, T] at each T where a record enters or leaves", show_duration(*w.sliding));
  if (w.snapshot) return "over the records of one time, once that has passed";
  if (w.session)
    return fmt::format("over sessions with gaps of at most {}, {}", show_duration(w.session->timeout),
                       w.session->exact
                           ? fmt::format("cut {} after their start", show_duration(w.session->max_duration))
                           : fmt::format("cut at the first multiple of {} since the epoch at which they are longer",
                                         show_duration(w.session->max_duration)));
  if (w.records) {
    std::string every = w.every.kind == Node::Kind::null ? fmt::format("{}", *w.records) : w.every.text;
    return fmt::format("over the last {} records, at each {}", *w.records, every == "1" ? "record" : every + " of them");
  }
  std::string within = show_duration(*w.within);
  if (!w.zscore.empty()) return fmt::format("against the records before it in (t-{}, t], at each record t", within);
  if (w.every.kind == Node::Kind::null) return fmt::format("over (t-{}, t], at each record t", within);
  return fmt::format("over (end-{}, end], {}{}", within, ends_of(w), closing);
}

std::string watched(const WatchOptions& w, const TimeOptions& time) {
  if (!w.value.empty()) return fmt::format("{} at each record", w.value);
  if (w.formula()) return fmt::format("a script {}", stretch_of(w, time));
  if (!w.ewma.empty()) return fmt::format("mean of {} weighted over {}, at each record", w.ewma, show_duration(*w.tau));
  if (!w.distance_outside.empty())
    return (w.circle ? fmt::format("metres outside a circle of {} m, at each record", w.circle->radius)
                     : std::string("1 outside the fence and 0 inside or on it, at each record")) +
           (w.max_accuracy ? fmt::format(" whose {} is at most {} m", w.accuracy, *w.max_accuracy) : "");
  if (!w.zscore.empty()) return fmt::format("standard deviations of {} {}", w.zscore, stretch_of(w, time));
  auto [aggregate, field] = *w.aggregate();
  return fmt::format("{}{} of {} {}", w.approx ? "about the " : "", aggregate, field, stretch_of(w, time));
}

std::string level_of(const std::string& name, const std::string& test, const std::optional<ClearOptions>& clear,
                     const std::optional<Duration>& hold) {
  std::string text = fmt::format("{} {}", name, test);
  if (hold && *hold > Duration::zero()) text += fmt::format(" for {}", show_duration(*hold));
  return text + (clear ? fmt::format(" until {}", tests_of(*clear)) : std::string(" until it is not"));
}

std::string inhibited(const std::vector<InhibitorOptions>& inhibitors) {
  std::string text;
  for (const InhibitorOptions& by : inhibitors)
    text += fmt::format("; told of unless {} fires{}", by.rule,
                        by.equal.empty() ? "" : fmt::format(" with the same {}", fmt::join(by.equal, ", ")));
  return text;
}

std::string rule_line(const std::string& name, const RuleOptions& rule, const TimeOptions& time) {
  std::string line = fmt::format("{}: {}", name, watched(rule.watch, time));
  std::string severity = rule.severity.empty() ? "alert" : rule.severity;
  for (const auto& [level, options] : rule.levels)
    line += "; " + level_of(level, tests_of(options), options.clear, options.hold ? options.hold : rule.hold);
  if (rule.given() > 0) line += "; " + level_of(severity, tests_of(rule), rule.clear, rule.hold);
  if (rule.changed) line += fmt::format("; {} where it differs from the one before", severity);
  if (!rule.has_condition()) return line + "; emitted, raises nothing";
  if (rule.resolve_after > Duration::zero()) line += fmt::format(", for {}", show_duration(rule.resolve_after));
  if (rule.group)
    line += fmt::format("; told of in groups{}, {} after the first and each {}",
                        rule.group->by.empty() ? "" : fmt::format(" by {}", fmt::join(rule.group->by, ", ")),
                        show_duration(rule.group->wait), show_duration(rule.group->interval));
  return line + inhibited(rule.inhibited_by);
}

}  // namespace

std::vector<std::string> explain(const Options& options) {
  std::vector<std::string> lines;
  for (const auto& [name, rule] : options.rules) lines.push_back(rule_line(name, rule, options.time));
  if (options.no_data)
    lines.push_back(fmt::format("no_data: nothing arrived for {}; a record that arrives exactly then is in time{}",
                                show_duration(options.no_data->after), inhibited(options.no_data->inhibited_by)));
  return lines;
}

}  // namespace millrace::alert
