#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "plugins/alert/check.h"

namespace millrace::alert {

namespace {

/// A rule, or no_data, as far as it could be read.
struct Inhibited {
  std::string name;
  std::vector<InhibitorOptions> by;
  std::optional<std::vector<std::string>> labels;  ///< nothing where they are not known
  bool raises = true;                              ///< alerts, or may
};

/// At one of a rule's inhibitors, and an option of it.
using Wrong = std::function<void(const Inhibited&, std::size_t inhibitor, std::string_view option, std::string what)>;

std::vector<std::string> names_of(const config::Map<std::string>& labels) {
  std::vector<std::string> names;
  for (const auto& [name, text] : labels) names.push_back(name);
  return names;
}

/// With `flawed` something is wrong in one of them: what is not there may be what could not be read.
std::vector<Inhibited> all_of(const Rules& rules, bool flawed) {
  std::vector<Inhibited> all;
  for (const auto& [name, rule] : rules) {
    Inhibited& one = all.emplace_back();
    one.name = name;
    one.by = rule.inhibited_by;
    one.raises = flawed || rule.has_condition();
    if (!flawed || !rule.labels.empty()) one.labels = names_of(rule.labels);
  }
  return all;
}

/// Whether `from` is muted, over any number of rules, by `wanted`.
bool leads_to(const std::vector<Inhibited>& all, const std::string& from, const std::string& wanted,
              std::set<std::string>& seen) {
  if (from == wanted) return true;
  if (!seen.insert(from).second) return false;
  for (const Inhibited& rule : all) {
    if (rule.name != from) continue;
    for (const InhibitorOptions& by : rule.by)
      if (leads_to(all, by.rule, wanted, seen)) return true;
  }
  return false;
}

void check_labels(const Inhibited& rule, std::size_t inhibitor, const Inhibited& source, const Wrong& wrong) {
  for (const std::string& label : rule.by[inhibitor].equal)
    for (const Inhibited* side : {&rule, &source})
      if (side->labels && std::find(side->labels->begin(), side->labels->end(), label) == side->labels->end())
        wrong(rule, inhibitor, "equal",
              fmt::format("rule '{}': inhibited_by: equal names '{}', and {} has no such label{}", rule.name, label,
                          side == &rule ? "the rule" : fmt::format("rule '{}'", side->name),
                          config::did_you_mean(label, *side->labels)));
}

void check_all(const std::vector<Inhibited>& all, const Wrong& wrong) {
  std::vector<std::string> raising;
  for (const Inhibited& rule : all)
    if (rule.raises) raising.push_back(rule.name);
  for (const Inhibited& rule : all) {
    for (std::size_t i = 0; i < rule.by.size(); ++i) {
      const std::string& by = rule.by[i].rule;
      auto source = std::find_if(all.begin(), all.end(), [&](const Inhibited& r) { return r.raises && r.name == by; });
      if (source == all.end()) {
        wrong(rule, i, "rule",
              fmt::format("rule '{}': inhibited_by names '{}', and no such rule raises alerts{}", rule.name, by,
                          config::did_you_mean(by, raising)));
        continue;
      }
      std::set<std::string> seen;
      if (leads_to(all, by, rule.name, seen))
        wrong(rule, i, "rule", fmt::format("rule '{}' is inhibited by itself, and nobody would ever be told", rule.name));
      else
        check_labels(rule, i, *source, wrong);
    }
  }
}

}  // namespace

void check_inhibition(const config::Node& node, const Rules& rules, config::Problems& problems) {
  auto all = all_of(rules, true);
  all.push_back({"no_data", {}, {}});
  check_all(all, [&](const Inhibited& rule, std::size_t inhibitor, std::string_view option, std::string what) {
    problems.add(node.along({rule.name, "inhibited_by", std::to_string(inhibitor), option}).position, std::move(what));
  });
}

void check_inhibition(const Options& options, config::CheckReport<Options>& report) {
  auto all = all_of(options.rules, false);
  const std::size_t rules = all.size();
  if (options.no_data)
    all.push_back({"no_data", options.no_data->inhibited_by, names_of(options.no_data->labels)});
  else if (report.given("no_data"))
    all.push_back({"no_data", {}, {}});
  check_all(all, [&](const Inhibited& rule, std::size_t inhibitor, std::string_view option, std::string what) {
    const std::string item = std::to_string(inhibitor);
    if (&rule - all.data() < static_cast<std::ptrdiff_t>(rules))
      report.wrong_at({"rules", rule.name, "inhibited_by", item, option}, std::move(what));
    else
      report.wrong_at({"no_data", "inhibited_by", item, option}, std::move(what));
  });
}

}  // namespace millrace::alert
