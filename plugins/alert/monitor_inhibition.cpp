#include <algorithm>
#include <cassert>

#include "plugins/alert/key.h"
#include "plugins/alert/monitor.h"

namespace millrace::alert {

namespace {

bool inhibits(State state) { return state == State::firing || state == State::recovering; }

bool counts(const InhibitionPart& part, State state) { return inhibits(state) || (!part.source && state == State::latched); }

}  // namespace

const RulePlan* Monitor::inhibitor(const RulePlan& rule, const Key& key) const {
  for (std::size_t i : rule.inhibitors) {
    const auto& alert = key.rules[i].alert;
    if (alert && inhibits(alert->life.state())) return &plan_.rules[i];
  }
  for (const InhibitionPart& part : rule.across_keys) {
    const auto& places = alike_[part.inhibition];
    if (part.source || places.empty()) continue;
    const auto texts = part.texts_of(key.name, key.latest());
    const auto place = texts ? places.find(*texts) : places.end();
    if (place != places.end() && place->second.firing > 0) return &plan_.rules[plan_.inhibitions[part.inhibition].source];
  }
  return nullptr;
}

/// An alert goes from state to state.
void Monitor::take_part(Key& key, const RulePlan& rule, State from, State to) {
  for (const InhibitionPart& part : rule.across_keys) {
    if (counts(part, from) == counts(part, to)) continue;
    const auto texts = part.texts_of(key.name, key.latest());
    take_part(key, rule, part, counts(part, from) ? texts : std::nullopt, counts(part, to) ? texts : std::nullopt);
  }
}

/// It leaves those that are alike by some texts, and joins others. Where the last of a source leaves, what is owed to people of
/// those that it muted is due.
void Monitor::take_part(Key& key, const RulePlan& rule, const InhibitionPart& part, const std::optional<std::string>& from,
                        const std::optional<std::string>& to) {
  if (from == to) return;
  auto& places = alike_[part.inhibition];
  key.reschedule = true;
  if (to && part.source) ++places[*to].firing;
  if (to && !part.source) places[*to].muted.insert({&key, &rule});
  if (!from) return;
  auto left = places.find(*from);
  assert(left != places.end());
  Alike& alike = left->second;
  if (!part.source) {
    alike.muted.erase({&key, &rule});
  } else if (--alike.firing == 0) {
    for (const auto& [other, its] : alike.muted) {
      other->reschedule = true;
      if (other != &key) schedule(*other);
    }
  }
  if (alike.empty()) places.erase(left);
}

/// A record comes that texts quote, and with it perhaps other labels. Called before it takes the place of the one before.
void Monitor::relabel(Key& key, std::span<const Quote> quotes) {
  const std::span<const Quote> before = key.latest();
  if (std::equal(before.begin(), before.end(), quotes.begin(), quotes.end())) return;
  for (const RulePlan& rule : plan_.rules) {
    const auto& alert = key.rules[index_of(rule)].alert;
    if (!alert) continue;
    for (const InhibitionPart& part : rule.across_keys)
      if (counts(part, alert->life.state()))
        take_part(key, rule, part, part.texts_of(key.name, before), part.texts_of(key.name, quotes));
  }
}

}  // namespace millrace::alert
