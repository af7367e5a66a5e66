#include "runner/cli/incidents.h"

#include <algorithm>
#include <iterator>

namespace millrace::cli {
namespace {

std::string text(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  return value && value->type() == Type::string ? std::string(value->as_text()) : std::string{};
}

std::string alert_of(const ReplayedIncident& i) { return i.stage + "\n" + i.rule + "\n" + i.key; }

bool overlap(const ReplayedIncident& a, const ReplayedIncident& b) {
  return (!a.ended || b.opened <= *a.ended) && (!b.ended || a.opened <= *b.ended);
}

/// Pairs what belongs together by `belong`, and takes it out of both.
template <class F>
void pair(std::vector<ReplayedIncident>& first, std::vector<ReplayedIncident>& second, IncidentDifference& out, F&& belong) {
  std::map<std::string, std::vector<ReplayedIncident>> others;
  for (ReplayedIncident& other : second) others[alert_of(other)].push_back(std::move(other));
  std::vector<ReplayedIncident> left;
  for (ReplayedIncident& one : first) {
    auto& candidates = others[alert_of(one)];
    auto found = std::find_if(candidates.begin(), candidates.end(), [&](const auto& other) { return belong(one, other); });
    if (found == candidates.end()) {
      left.push_back(std::move(one));
      continue;
    }
    if (one.alike(*found))
      ++out.same;
    else
      out.changed.emplace_back(std::move(one), std::move(*found));
    candidates.erase(found);
  }
  first = std::move(left);
  second.clear();
  for (auto& [alert, rest] : others) std::move(rest.begin(), rest.end(), std::back_inserter(second));
  std::stable_sort(second.begin(), second.end(), [](const auto& a, const auto& b) { return a.opened < b.opened; });
}

}  // namespace

void ReplayedIncidents::see(const std::string& stage, const Batch& batch) {
  for (const Record& record : batch.records) {
    const std::string incident = stage + "\n" + text(record, "incident");
    if (record.kind == kind::notification) {
      std::string id = text(record, "id");
      id.resize(std::min(id.size(), id.rfind('@')));
      auto found = places_.find(incident);
      if (found != places_.end() && std::exchange(told_[incident], id) != id) ++incidents_[found->second].told;
      continue;
    }
    if (record.kind != kind::alert) continue;
    const std::string from = text(record, "from"), to = text(record, "to"), level = text(record, "level");
    if (to == "FIRING" && (from == "OK" || from == "PENDING")) {
      places_[incident] = incidents_.size();
      incidents_.push_back({stage, text(record, "rule"), text(record, "key"), record.time, std::nullopt, {level}, 0});
      continue;
    }
    auto found = places_.find(incident);
    if (found == places_.end()) continue;
    ReplayedIncident& known = incidents_[found->second];
    if (to == "FIRING" && known.levels.back() != level) known.levels.push_back(level);
    if (to == "OK" && from != "PENDING") known.ended = record.time;
  }
}

std::vector<ReplayedIncident> ReplayedIncidents::list() const {
  auto sorted = incidents_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.opened < b.opened; });
  return sorted;
}

IncidentDifference compare(std::vector<ReplayedIncident> first, std::vector<ReplayedIncident> second) {
  IncidentDifference difference;
  pair(first, second, difference, [](const auto& a, const auto& b) { return a.opened == b.opened; });
  pair(first, second, difference, overlap);
  difference.only_first = std::move(first);
  difference.only_second = std::move(second);
  return difference;
}

}  // namespace millrace::cli
