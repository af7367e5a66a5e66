#include "plugins/alert/silences.h"

#include <fmt/format.h>

#include <algorithm>

namespace millrace::alert {

namespace {

std::string_view any_if_empty(const std::string& name) { return name.empty() ? std::string_view("*") : std::string_view(name); }

/// In the order in which the history gives them back.
AlertLabels sorted(AlertLabels labels) {
  std::sort(labels.begin(), labels.end());
  return labels;
}

/// A name for a silence that was given none.
std::string name_of(const store::Silence& s) {
  std::string name = fmt::format("{}/{}", any_if_empty(s.rule), any_if_empty(s.key));
  for (const auto& [label, wanted] : s.labels) name += fmt::format(",{}={}", label, wanted);
  return fmt::format("{}@{}", name, s.from_ms);
}

std::int64_t end_of(const store::Silence& s) { return std::min(s.to_ms, s.ended_ms.value_or(s.to_ms)); }

}  // namespace

Result<store::Silence> Silences::add(const millrace::Silence& silence, Time now) {
  if (silence.to <= silence.from) return invalid("a silence ends after it begins");
  if (silence.to <= now) return invalid("that silence would be over already");
  store::Silence kept;
  kept.from_ms = to_whole_millis(silence.from);
  kept.to_ms = to_whole_millis(silence.to);
  kept.id = silence.id;
  kept.rule = silence.rule;
  kept.key = silence.key;
  kept.labels = sorted(silence.labels);
  kept.once = silence.once;
  if (kept.id.empty()) kept.id = name_of(kept);
  kept.author = silence.by;
  kept.comment = silence.comment;
  kept.created_ms = to_whole_millis(now);
  forget_past(now);
  std::erase_if(all_, [&](const store::Silence& s) { return s.id == kept.id; });
  if (all_.size() >= most) return overloaded(fmt::format("there are {} silences already: end some", all_.size()));
  all_.push_back(kept);
  return kept;
}

Result<std::vector<store::Silence>> Silences::end(const millrace::Silence& which, Time now) {
  forget_past(now);
  std::vector<store::Silence> ended;
  auto meant = [&which, labels = sorted(which.labels)](const store::Silence& s) {
    if (!which.id.empty()) return s.id == which.id;
    return s.rule == which.rule && s.key == which.key && s.labels == labels;
  };
  for (store::Silence& s : all_) {
    if (!meant(s)) continue;
    s.ended_ms = to_whole_millis(now);
    ended.push_back(s);
  }
  forget_past(now);
  if (!ended.empty()) return ended;
  if (!which.id.empty()) return invalid(fmt::format("no silence is called '{}'", which.id));
  return invalid(fmt::format("there is no silence of rule {} and key {}", any_if_empty(which.rule), any_if_empty(which.key)));
}

void Silences::forget_past(Time now) {
  std::erase_if(all_, [&](const store::Silence& s) { return from_millis(end_of(s)) <= now; });
}

std::vector<Silence> Silences::plan() const {
  std::vector<Silence> plan;
  for (const store::Silence& s : all_)
    plan.push_back({s.id, from_millis(s.from_ms).time_since_epoch().count(), from_millis(end_of(s)).time_since_epoch().count(),
                    s.rule, s.key, s.labels, s.once});
  return plan;
}

millrace::Silence told(const store::Silence& kept) {
  return {kept.id,      kept.rule,   kept.key, from_millis(kept.from_ms), from_millis(end_of(kept)), kept.author,
          kept.comment, kept.labels, kept.once};
}

}  // namespace millrace::alert
