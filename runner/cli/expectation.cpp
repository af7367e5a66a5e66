#include "runner/cli/expectation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "runner/cli/script.h"
#include "runner/config/values.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

using Row = Collected::Row;

std::string text_field(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  return value && value->type() == Type::string ? std::string(value->as_text()) : std::string{};
}

/// Numbers by value, as 10 and 10.0 mean the same to whoever writes a test.
bool equal(const Value& expected, const Value& got) {
  auto a = expected.number(), b = got.number();
  if (a && b) return std::abs(*a - *b) <= 1e-9 * std::max({1.0, std::abs(*a), std::abs(*b)});
  return expected == got;
}

bool matches(const config::Node& expected, const Row& row, Time start) {
  Arena arena;
  const Record& record = row.record();
  for (const config::Entry& entry : expected.entries) {
    if (entry.key == "at") {
      auto at = config::parse_duration(entry.value.text);
      if (!at || record.time != start + *at) return false;
      continue;
    }
    if (entry.key == "device" && !record.fields.find("device")) {
      if (entry.value.text != record.device) return false;
      continue;
    }
    const Value* got = record.fields.find(entry.key);
    Value want = value_of(entry.value, arena);
    if (!got) {
      if (!want.is_null()) return false;
      continue;
    }
    if (!equal(want, *got)) return false;
  }
  return true;
}

std::string shown(const Row& row, Time start) {
  std::string fields;
  append_json(fields, row.record().fields.view());
  return fmt::format("{:>8}  {}  {}", config::show_duration(row.record().time - start), row.stage, fields);
}

std::string shown(const config::Node& node) {
  std::string out;
  for (const config::Entry& e : node.entries)
    out += (out.empty() ? "" : ", ") + e.key + ": " + (e.value.is_scalar() ? e.value.text : e.value.shown());
  return "{" + out + "}";
}

void compare(const std::string& what, const std::vector<config::Node>& expected, const std::vector<const Row*>& got, Time start,
             std::string& out) {
  bool good = expected.size() == got.size();
  for (std::size_t i = 0; good && i < got.size(); ++i) good = matches(expected[i], *got[i], start);
  if (good) return;
  out += fmt::format("  {}: expected {}, got {}\n", what, expected.size(), got.size());
  for (std::size_t i = 0; i < std::max(expected.size(), got.size()); ++i) {
    bool same = i < expected.size() && i < got.size() && matches(expected[i], *got[i], start);
    if (i < expected.size()) out += fmt::format("  {} {}\n", same ? " " : "-", shown(expected[i]));
    if (i < got.size() && !same) out += fmt::format("  + {}\n", shown(*got[i], start));
  }
}

const std::set<std::string> quiet_states{"PENDING", "RECOVERING"};

std::vector<const Row*> alerts_of(const Collected& collected, const std::vector<config::Node>& expected) {
  bool names_quiet = std::any_of(expected.begin(), expected.end(), [](const config::Node& n) {
    const config::Node* to = n.find("to");
    const config::Node* from = n.find("from");
    return (to && quiet_states.contains(to->text)) || (from && quiet_states.contains(from->text));
  });
  std::vector<const Row*> rows;
  for (const Row& row : collected.rows()) {
    if (row.record().kind != kind::alert) continue;
    bool quiet = quiet_states.contains(text_field(row.record(), "to")) ||
                 (text_field(row.record(), "from") == "PENDING" && text_field(row.record(), "to") == "OK");
    if (names_quiet || !quiet) rows.push_back(&row);
  }
  return rows;
}

template <class F>
std::vector<const Row*> rows_where(const Collected& collected, F&& f) {
  std::vector<const Row*> rows;
  for (const Row& row : collected.rows())
    if (f(row)) rows.push_back(&row);
  return rows;
}

}  // namespace

void Collected::add(const std::string& stage, const Batch& batch, Time now) {
  for (const Record& record : batch.records) {
    Row row{stage, now, {}};
    row.batch.append_copy(record);
    rows_.push_back(std::move(row));
  }
}

std::string differences(const graph::TestCase::Expect& expect, const Collected& collected,
                        const std::map<std::string, std::uint64_t>& emitted) {
  std::string out;
  Time start = collected.start();
  if (expect.alerts) compare("alerts", *expect.alerts, alerts_of(collected, *expect.alerts), start, out);
  if (expect.notifications)
    compare("notifications", *expect.notifications,
            rows_where(collected, [](const Row& r) { return r.record().kind == kind::notification; }), start, out);
  for (const auto& [stage, rows] : expect.outputs)
    compare("outputs of '" + stage + "'", rows, rows_where(collected, [&](const Row& r) { return r.stage == stage; }), start,
            out);
  for (const auto& [stage, count] : expect.counts) {
    auto found = emitted.find(stage);
    if (found == emitted.end())
      out += fmt::format("  counts: there is no stage '{}'\n", stage);
    else if (found->second != count)
      out += fmt::format("  counts of '{}': expected {}, got {}\n", stage, count, found->second);
  }
  for (const auto& [stage, rows] : expect.outputs)
    if (!emitted.contains(stage)) out += fmt::format("  outputs: there is no stage '{}'\n", stage);
  return out;
}

}  // namespace millrace::cli
