#include "runner/cli/comparison.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "runner/cli/moment.h"

namespace millrace::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string levels(const ReplayedIncident& i) { return fmt::format("{}", fmt::join(i.levels, ", ")); }
std::string until(const ReplayedIncident& i) { return i.ended ? "to " + shown(*i.ended) : "still open"; }
std::string told(const ReplayedIncident& i) { return i.told == 0 ? "nobody told" : fmt::format("told {}x", i.told); }

std::string line(const ReplayedIncident& i) {
  return fmt::format("{}  {}  {} {}  {}  {}", i.rule, i.key, shown(i.opened), until(i), levels(i), told(i));
}

std::string changes(const ReplayedIncident& a, const ReplayedIncident& b) {
  std::string out;
  auto add = [&](bool differs, std::string_view what, const std::string& from, const std::string& to) {
    if (differs) out += fmt::format("{}{}{} instead of {}", out.empty() ? "" : "; ", what, to, from);
  };
  add(a.opened != b.opened, "opens ", shown(a.opened), shown(b.opened));
  add(a.ended != b.ended, "", until(a), until(b));
  add(a.levels != b.levels, "levels ", levels(a), levels(b));
  add(a.told != b.told, "", told(a), told(b));
  return out;
}

Json json_of(const ReplayedIncident& i) {
  auto millis = [](Time time) -> Json {
    auto micros = time.time_since_epoch().count();
    if (micros % 1000 == 0) return micros / 1000;
    return to_millis(time);
  };
  return {{"stage", i.stage},
          {"rule", i.rule},
          {"key", i.key},
          {"opened", millis(i.opened)},
          {"ended", i.ended ? millis(*i.ended) : Json()},
          {"levels", i.levels},
          {"told", i.told}};
}

}  // namespace

std::string text_of(const std::vector<ReplayedIncident>& incidents) {
  std::string out;
  for (const ReplayedIncident& i : incidents) out += "  " + line(i) + "\n";
  return out + fmt::format("{} {}\n", incidents.size(), incidents.size() == 1 ? "alert" : "alerts");
}

std::string text_of(const IncidentDifference& d, const std::string& first, const std::string& second) {
  std::string out = fmt::format("- {}\n+ {}\n", first, second);
  for (const ReplayedIncident& i : d.only_first) out += "- " + line(i) + "\n";
  for (const ReplayedIncident& i : d.only_second) out += "+ " + line(i) + "\n";
  for (const auto& [a, b] : d.changed) out += fmt::format("~ {}\n    {}\n", line(a), changes(a, b));
  return out + fmt::format("{} only in the first, {} only in the second, {} different, {} the same\n", d.only_first.size(),
                           d.only_second.size(), d.changed.size(), d.same);
}

std::string json_of(const IncidentDifference& d, const std::string& first, const std::string& second) {
  Json all{{"first", first}, {"second", second}, {"same", d.same}};
  all["only_first"] = all["only_second"] = all["changed"] = Json::array();
  for (const ReplayedIncident& i : d.only_first) all["only_first"].push_back(json_of(i));
  for (const ReplayedIncident& i : d.only_second) all["only_second"].push_back(json_of(i));
  for (const auto& [a, b] : d.changed) all["changed"].push_back({{"first", json_of(a)}, {"second", json_of(b)}});
  return all.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace millrace::cli
