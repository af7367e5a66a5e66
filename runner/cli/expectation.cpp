#include "runner/cli/expectation.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <set>

#include "runner/cli/expected_row.h"
#include "runner/config/values.h"

namespace millrace::cli {
namespace {

using Row = Collected::Row;
using Rows = std::vector<const Row*>;
using Nodes = std::vector<config::Node>;
using Wanted = graph::TestCase::Rows;
using Seen = Collected::Seen;

const std::set<std::string> quiet_states{"PENDING", "RECOVERING"};

const std::vector<std::string> alert_members{
    "at",   "when",    "stage",     "device", "incident", "rule",       "key",          "from",       "to",  "level", "value",
    "time", "message", "threshold", "reason", "labels",   "aggregates", "window_start", "window_end", "run", "actor"};
const std::vector<std::string> notification_members{"at",      "when",  "stage",  "device",   "id",    "type",  "incident",
                                                    "rule",    "key",   "level",  "from",     "to",    "value", "time",
                                                    "message", "quiet", "firing", "resolved", "labels"};
const std::vector<std::string> client_members{"at", "when", "stage", "target", "arguments"};

std::string text_field(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  return value && value->type() == Type::string ? std::string(value->as_text()) : std::string{};
}

bool names_quiet(const Nodes& rows) {
  return std::any_of(rows.begin(), rows.end(), [](const config::Node& n) {
    const config::Node* to = n.find("to");
    const config::Node* from = n.find("from");
    return (to && quiet_states.contains(to->text)) || (from && quiet_states.contains(from->text));
  });
}

template <class F>
Rows rows_where(const Collected& collected, F&& f) {
  Rows rows;
  for (const Row& row : collected.rows())
    if (f(row)) rows.push_back(&row);
  return rows;
}

Rows alerts_of(const Collected& collected, bool quiet_too) {
  return rows_where(collected, [&](const Row& row) {
    if (row.seen != Seen::emitted || row.record().kind != kind::alert) return false;
    bool quiet = quiet_states.contains(text_field(row.record(), "to")) ||
                 (text_field(row.record(), "from") == "PENDING" && text_field(row.record(), "to") == "OK");
    return quiet_too || !quiet;
  });
}

Rows notifications_of(const Collected& collected) {
  return rows_where(collected,
                    [](const Row& row) { return row.seen == Seen::emitted && row.record().kind == kind::notification; });
}

Rows messages_of(const Collected& collected) {
  return rows_where(collected, [](const Row& row) { return row.seen == Seen::sent; });
}

Rows outputs_of(const Collected& collected, const std::string& stage) {
  return rows_where(collected, [&](const Row& row) { return row.seen != Seen::sent && row.stage == stage; });
}

/// Calls `f(what, expected, got)` for each section that is there.
void each_section(const Wanted& wanted, const Collected& collected,
                  const std::function<void(const std::string&, const Nodes&, const Rows&)>& f) {
  if (wanted.alerts) f("alerts", *wanted.alerts, alerts_of(collected, names_quiet(*wanted.alerts)));
  if (wanted.notifications) f("notifications", *wanted.notifications, notifications_of(collected));
  if (wanted.clients) f("clients", *wanted.clients, messages_of(collected));
  for (const auto& [stage, rows] : wanted.outputs) f("outputs of '" + stage + "'", rows, outputs_of(collected, stage));
}

std::string range_of(const graph::TestCase::Count& count) {
  if (count.exactly) return std::to_string(*count.exactly);
  if (count.at_least && count.at_most) return fmt::format("{} to {}", *count.at_least, *count.at_most);
  return count.at_least ? fmt::format("at least {}", *count.at_least) : fmt::format("at most {}", count.at_most.value_or(0));
}

bool within(const graph::TestCase::Count& count, std::uint64_t got) {
  return (!count.exactly || got == *count.exactly) && (!count.at_least || got >= *count.at_least) &&
         (!count.at_most || got <= *count.at_most);
}

std::uint64_t count_of(const std::string& what, const Collected& collected,
                       const std::map<std::string, std::uint64_t>& emitted) {
  if (auto found = emitted.find(what); found != emitted.end()) return found->second;
  if (what == "alerts") return alerts_of(collected, false).size();
  if (what == "notifications") return notifications_of(collected).size();
  return messages_of(collected).size();
}

/// Checks expectations against a pipeline.
class Check {
 public:
  Check(const graph::Pipeline& pipeline, config::Position test, config::Problems& problems) : test_(test), problems_(problems) {
    for (const graph::Stage& stage : pipeline.stages) stages_.push_back(stage.id);
  }

  void rows(const Wanted& wanted) {
    if (wanted.alerts) rows(*wanted.alerts, &alert_members);
    if (wanted.notifications) rows(*wanted.notifications, &notification_members);
    if (wanted.clients) rows(*wanted.clients, &client_members);
    for (const auto& [id, nodes] : wanted.outputs) {
      stage(id, nodes.empty() ? test_ : nodes.front().position, "outputs", stages_);
      rows(nodes, nullptr);
    }
  }

  void counts(const graph::TestCase::Expect& expect) {
    std::vector<std::string> known = stages_;
    for (const char* name : {"alerts", "notifications", "clients"}) known.emplace_back(name);
    for (const auto& [what, count] : expect.counts) stage(what, test_, "counts", known);
  }

 private:
  void stage(const std::string& id, config::Position at, std::string_view section, const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), id) == known.end())
      problems_.add(at, fmt::format("'{}': there is no stage '{}'{}", section, id, config::did_you_mean(id, known)));
  }

  void rows(const Nodes& nodes, const std::vector<std::string>* members) {
    for (const config::Node& node : nodes) {
      if (!node.is_map()) {
        problems_.add(node.position, "expected a row, which is a map, got " + node.shown());
        continue;
      }
      for (const config::Entry& entry : node.entries) {
        if (members && std::find(members->begin(), members->end(), entry.key) == members->end())
          problems_.add(entry.position,
                        fmt::format("unknown key '{}'{}", entry.key, config::did_you_mean(entry.key, *members)));
        if (entry.key != "at" && !(entry.key == "when" && members)) continue;
        if (!entry.value.is_scalar() || !config::parse_duration(entry.value.text))
          problems_.add(entry.value.position, fmt::format("'{}': expected a duration from the start, such as 20s, got {}",
                                                          entry.key, entry.value.shown()));
      }
    }
  }

  config::Position test_;
  config::Problems& problems_;
  std::vector<std::string> stages_;
};

}  // namespace

void check_expectations(const graph::Pipeline& pipeline, const graph::TestCase& test, config::Problems& problems) {
  Check check(pipeline, test.position, problems);
  check.rows(test.expect);
  check.rows(test.expect.among);
  check.rows(test.expect.none);
  check.counts(test.expect);
}

std::string differences(const graph::TestCase::Expect& expect, const Collected& collected,
                        const std::map<std::string, std::uint64_t>& emitted) {
  std::string out;
  const Time start = collected.start();
  auto report = [&](const std::string& head, const std::string& lines) {
    if (!lines.empty()) out += "  " + head + "\n" + lines;
  };
  each_section(expect, collected, [&](const std::string& what, const Nodes& expected, const Rows& got) {
    report(fmt::format("{}: expected {}, got {}", what, expected.size(), got.size()), compare_all(expected, got, start));
  });
  each_section(expect.among, collected, [&](const std::string& what, const Nodes& expected, const Rows& got) {
    report(fmt::format("{}: missing among {}", what, got.size()), compare_among(expected, got, start));
  });
  each_section(expect.none, collected, [&](const std::string& what, const Nodes& unwanted, const Rows& got) {
    report(fmt::format("{}: there is what should not be", what), compare_none(unwanted, got, start));
  });
  for (const auto& [what, count] : expect.counts)
    if (std::uint64_t got = count_of(what, collected, emitted); !within(count, got))
      out += fmt::format("  counts of '{}': expected {}, got {}\n", what, range_of(count), got);
  return out;
}

std::vector<std::string> stages_of(const graph::TestCase::Expect& expect) {
  std::vector<std::string> stages;
  for (const Wanted* wanted : {static_cast<const Wanted*>(&expect), &expect.among, &expect.none}) {
    for (const auto& [stage, rows] : wanted->outputs) stages.push_back(stage);
    if (wanted->clients) stages.emplace_back("clients");
  }
  return stages;
}

}  // namespace millrace::cli
