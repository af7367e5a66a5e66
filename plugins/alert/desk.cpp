#include "plugins/alert/desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "runner/config/values.h"

namespace millrace::alert {

namespace {

Micros micros(Time time) { return time.time_since_epoch().count(); }
Time time_of(Micros micros) { return Time{Duration{micros}}; }

Error no_rule(std::string_view name, const std::vector<std::string>& raising) {
  if (raising.empty()) return invalid("no rule here raises alerts");
  return invalid(fmt::format("there is no rule '{}' that raises alerts{}", name, config::did_you_mean(name, raising)));
}

Error no_incident(std::string_view name) { return invalid(fmt::format("there is no incident '{}'", name)); }

}  // namespace

void Desk::load(std::vector<store::Silence> silences) {
  silences_.load(std::move(silences));
  monitor_.load_silences(silences_.plan());
}

/// The rules that raise alerts.
std::vector<std::string> Desk::raising() const {
  std::vector<std::string> all;
  for (const RulePlan& candidate : monitor_.plan().rules)
    if (candidate.has_condition()) all.push_back(candidate.name);
  return all;
}

const RulePlan& Desk::rule_named(std::string_view name) const {
  const auto& rules = monitor_.plan().rules;
  return *std::find_if(rules.begin(), rules.end(), [&](const RulePlan& rule) { return rule.name == name; });
}

/// The number of an incident of that rule and key, or 0 if there never was one of that name.
std::uint64_t Desk::opening_of(const RulePlan& rule, std::string_view key, std::string_view incident) const {
  const LifeCycle* life = monitor_.life(rule.name, key);
  const auto mark = incident.rfind('#');
  if (!life || mark == std::string_view::npos) return 0;
  std::uint64_t opening = 0;
  const char* end = incident.data() + incident.size();
  auto [stopped, error] = std::from_chars(incident.data() + mark + 1, end, opening);
  if (error != std::errc{} || stopped != end || opening > life->openings()) return 0;
  return telling_.incident(rule, key, opening) == incident ? opening : 0;
}

void Desk::catch_up(Time at) {
  begin_(at);
  monitor_.tick(micros(at));
  keep_spent();
}

template <class T>
void Desk::answer_when_kept(DeskAnswer<T> answer, T with) {
  journal_.when_committed([answer = std::move(answer), with = std::move(with)](const Result<void>& kept) {
    kept ? answer(with) : answer(kept.error());
  });
  keep_spent();
  journal_.commit(false);
}

void Desk::acknowledge(const Acknowledgement& ack, Time at, DeskAnswer<std::vector<Acknowledged>> answer) {
  const std::vector<std::string> all = raising();
  if (all.empty() || (!ack.rule.empty() && std::find(all.begin(), all.end(), ack.rule) == all.end()))
    return answer(no_rule(ack.rule, all));
  catch_up(at);
  std::vector<std::string> meant;
  for (const std::string& name : all)
    if (monitor_.open(name, ack.key)) meant.push_back(name);
  if (!ack.rule.empty())
    meant = {ack.rule};
  else if (meant.empty())
    meant = {all.front()};
  journal_.set_comment(ack.comment);
  std::vector<Acknowledged> done;
  for (const std::string& name : meant) {
    auto one = acknowledge_one(ack, rule_named(name), at);
    if (!one) return answer(one.error());
    done.push_back(std::move(*one));
  }
  answer_when_kept(std::move(answer), std::move(done));
}

Result<Acknowledged> Desk::acknowledge_one(const Acknowledgement& ack, const RulePlan& rule, Time at) {
  const LifeCycle* life = monitor_.life(rule.name, ack.key);
  Acknowledged said{{}, rule.name, ack.key, Acknowledged::Outcome::not_open, {}};
  if (life && life->open()) {
    said.incident = telling_.incident(rule, ack.key, life->openings());
    said.outcome = life->acknowledged() ? Acknowledged::Outcome::already : Acknowledged::Outcome::acknowledged;
    said.by = life->acknowledged() ? life->acknowledged_by() : ack.by;
  }
  if (ack.incident.empty() || ack.incident == said.incident) {
    monitor_.acknowledge(micros(at), rule.name, ack.key, ack.by);
    if (monitor_.life(rule.name, ack.key)) return said;
    return overloaded(fmt::format("max_keys keys are watched already, and '{}' is not among them", ack.key));
  }
  const std::uint64_t opening = opening_of(rule, ack.key, ack.incident);
  if (opening == 0) return no_incident(ack.incident);
  journal_.remark({rule, ack.key, opening, "ack_ignored", ack.by, ack.comment, {}, at});
  return Acknowledged{ack.incident, rule.name, ack.key, Acknowledged::Outcome::not_open, {}};
}

void Desk::comment(const millrace::Remark& remark, Time at, DeskAnswer<void> answer) {
  const std::vector<std::string> all = raising();
  if (std::find(all.begin(), all.end(), remark.rule) == all.end()) return answer(no_rule(remark.rule, all));
  const RulePlan& rule = rule_named(remark.rule);
  catch_up(at);
  const std::uint64_t opening = opening_of(rule, remark.key, remark.incident);
  if (opening == 0) return answer(no_incident(remark.incident));
  journal_.remark({rule, remark.key, opening, "comment", remark.by, remark.comment, {}, at});
  journal_.when_committed(std::move(answer));
  journal_.commit(false);
}

void Desk::keep_spent() {
  for (const Monitor::Spent& spent : monitor_.take_spent()) {
    millrace::Silence which;
    which.id = spent.id;
    auto ended = silences_.end(which, time_of(spent.at));
    if (!ended) continue;
    for (store::Silence& s : *ended) journal_.keep(std::move(s));
  }
}

/// A silence that ends with an alert needs that alert.
Result<void> Desk::fits_once(const millrace::Silence& silence) const {
  if (silence.key.empty() || silence.key.find_first_of("*?\\") != std::string::npos)
    return invalid("a silence that ends with an alert is of one key, which it names");
  for (const std::string& name : raising())
    if (monitor_.open(name, silence.key) &&
        concerns(silence, name, silence.key, monitor_.seen(rule_named(name), silence.key).labels))
      return {};
  return invalid(fmt::format("'{}' has no open alert that this silence could end with", silence.key));
}

void Desk::silence(const millrace::Silence& silence, Time at, DeskAnswer<millrace::Silence> answer) {
  const std::vector<std::string> all = raising();
  auto meant = [&](const std::string& name) { return silence.rule.empty() || matches_glob(silence.rule, name); };
  if (std::none_of(all.begin(), all.end(), meant)) return answer(no_rule(silence.rule, all));
  catch_up(at);
  millrace::Silence wanted = silence;
  if (wanted.once) {
    if (auto fit = fits_once(wanted); !fit) return answer(fit.error());
    wanted.from = std::min(wanted.from, at);
  }
  auto added = silences_.add(wanted, at);
  if (!added) return answer(added.error());
  silences_changed({*added}, "silenced", added->author, at);
  answer_when_kept(std::move(answer), told(*added));
}

void Desk::unsilence(const millrace::Silence& which, Time at, DeskAnswer<std::vector<millrace::Silence>> answer) {
  catch_up(at);
  auto ended = silences_.end(which, at);
  if (!ended) return answer(ended.error());
  silences_changed(*ended, "unsilenced", which.by, at);
  std::vector<millrace::Silence> said;
  for (const store::Silence& s : *ended) said.push_back(told(s));
  answer_when_kept(std::move(answer), std::move(said));
}

/// Each open alert that they concern gets an event that says so.
void Desk::silences_changed(const std::vector<store::Silence>& silences, std::string_view reason, std::string_view by,
                            Time at) {
  monitor_.silence(micros(at), silences_.plan());
  monitor_.each_open([&](const RulePlan& rule, const std::string& key) {
    const Silenced alert = monitor_.seen(rule, key);
    for (const store::Silence& s : silences) {
      if (!concerns(s, alert.rule, alert.key, alert.labels)) continue;
      const std::string name = "silence:" + s.id;
      journal_.remark({rule, key, monitor_.life(rule.name, key)->openings(), reason, by, s.comment, name, at});
    }
  });
  for (const store::Silence& s : silences) journal_.keep(s);
}

}  // namespace millrace::alert
