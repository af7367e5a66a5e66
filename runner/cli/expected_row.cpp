#include "runner/cli/expected_row.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "runner/cli/script.h"
#include "runner/config/values.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

using Row = Collected::Row;
using Rows = std::vector<const Row*>;
using Nodes = std::vector<config::Node>;

/// Pairs to look at; beyond it rows are compared place by place.
constexpr std::size_t largest_table = 1'000'000;

std::string json(const Value& value) {
  std::string text;
  append_json(text, value);
  return text;
}

bool equal(const Value& expected, const Value& got);

bool equal_maps(const Value& expected, const Value& got) {
  if (expected.as_object().empty()) return got.as_object().empty();
  for (const Field& wanted : expected.as_object()) {
    auto fields = got.as_object();
    auto found = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == wanted.name; });
    if (!equal(wanted.value, found == fields.end() ? Value::null() : found->value)) return false;
  }
  return true;
}

/// Numbers by value, as 10 and 10.0 mean the same to whoever writes a test.
bool equal(const Value& expected, const Value& got) {
  auto a = expected.number(), b = got.number();
  if (a && b) return std::abs(*a - *b) <= 1e-9 * std::max({1.0, std::abs(*a), std::abs(*b)});
  if (expected.type() != got.type()) return false;
  if (expected.type() == Type::object) return equal_maps(expected, got);
  if (expected.type() != Type::list) return expected == got;
  auto wanted = expected.as_list(), list = got.as_list();
  return std::equal(wanted.begin(), wanted.end(), list.begin(), list.end(), equal);
}

std::string mismatch(const config::Entry& expected, const Row& row, Time start) {
  const Record& record = row.record();
  auto differs = [&](std::string_view got, std::string_view want) {
    return got == want ? std::string() : fmt::format("'{}' is {} instead of {}", expected.key, got, want);
  };
  if (expected.key == "at" || (expected.key == "when" && !record.fields.find("when"))) {
    auto wanted = config::parse_duration(expected.value.text);
    Time time = expected.key == "at" ? row.time() : row.now;
    if (wanted && time == start + *wanted) return {};
    return fmt::format("'{}' is {} instead of {}", expected.key, since(time, start), expected.value.text);
  }
  if (expected.key == "device" && !record.fields.find("device")) return differs(record.device, expected.value.text);
  if (expected.key == "stage" && !record.fields.find("stage")) return differs(row.stage, expected.value.text);
  Arena arena;
  Value wanted = value_of(expected.value, arena);
  const Value* got = record.fields.find(expected.key);
  if (equal(wanted, got ? *got : Value::null())) return {};
  return fmt::format("'{}' is {} instead of {}", expected.key, got ? json(*got) : "missing", json(wanted));
}

std::string nearest(const config::Node& expected, const Rows& got, const std::vector<bool>& used, Time start) {
  const Row* best = nullptr;
  std::vector<std::string> least;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (used[i]) continue;
    auto wrong = mismatches(expected, *got[i], start);
    if (best && wrong.size() >= least.size()) continue;
    best = got[i];
    least = std::move(wrong);
  }
  // A row that shares nothing with it tells nothing.
  if (!best || least.size() >= expected.entries.size()) return {};
  return fmt::format("      nearest: {}\n               {}\n", shown(*best, start), fmt::join(least, "; "));
}

/// A longest way to pair expected rows with rows that came, both in order: for each expected one the index of its row, or -1.
std::vector<std::ptrdiff_t> pair_up(const Nodes& expected, const Rows& got, Time start) {
  if (expected.size() * got.size() > largest_table) {
    std::vector<std::ptrdiff_t> same_place(expected.size(), -1);
    for (std::size_t i = 0; i < std::min(expected.size(), got.size()); ++i)
      if (mismatches(expected[i], *got[i], start).empty()) same_place[i] = static_cast<std::ptrdiff_t>(i);
    return same_place;
  }
  std::vector<std::vector<bool>> match(expected.size(), std::vector<bool>(got.size()));
  for (std::size_t i = 0; i < expected.size(); ++i)
    for (std::size_t k = 0; k < got.size(); ++k) match[i][k] = mismatches(expected[i], *got[k], start).empty();
  std::vector<std::vector<std::uint32_t>> length(expected.size() + 1, std::vector<std::uint32_t>(got.size() + 1));
  for (std::size_t i = expected.size(); i-- > 0;)
    for (std::size_t k = got.size(); k-- > 0;)
      length[i][k] = match[i][k] ? length[i + 1][k + 1] + 1 : std::max(length[i + 1][k], length[i][k + 1]);
  std::vector<std::ptrdiff_t> pairs(expected.size(), -1);
  for (std::size_t i = 0, k = 0; i < expected.size() && k < got.size();) {
    if (match[i][k])
      pairs[i++] = static_cast<std::ptrdiff_t>(k++);
    else
      length[i + 1][k] >= length[i][k + 1] ? ++i : ++k;
  }
  return pairs;
}

}  // namespace

std::vector<std::string> mismatches(const config::Node& expected, const Row& row, Time start) {
  std::vector<std::string> wrong;
  for (const config::Entry& entry : expected.entries)
    if (std::string what = mismatch(entry, row, start); !what.empty()) wrong.push_back(std::move(what));
  return wrong;
}

std::string shown(const config::Node& expected) {
  Arena arena;
  std::string out;
  for (const config::Entry& e : expected.entries)
    out += (out.empty() ? "" : ", ") + e.key + ": " + (e.value.is_scalar() ? e.value.text : json(value_of(e.value, arena)));
  return "{" + out + "}";
}

std::string compare_all(const Nodes& expected, const Rows& got, Time start) {
  bool good = expected.size() == got.size();
  for (std::size_t i = 0; good && i < got.size(); ++i) good = mismatches(expected[i], *got[i], start).empty();
  if (good) return {};
  std::vector<std::ptrdiff_t> pairs = pair_up(expected, got, start);
  std::vector<bool> used(got.size());
  for (std::ptrdiff_t pair : pairs)
    if (pair >= 0) used[static_cast<std::size_t>(pair)] = true;
  std::string out;
  std::size_t k = 0;
  auto unexpected = [&](std::size_t end) {
    for (; k < end; ++k) out += fmt::format("    + {}\n", shown(*got[k], start));
  };
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (pairs[i] < 0) {
      out += fmt::format("    - {}\n", shown(expected[i])) + nearest(expected[i], got, used, start);
      continue;
    }
    unexpected(static_cast<std::size_t>(pairs[i]));
    out += fmt::format("      {}\n", shown(expected[i]));
    k = static_cast<std::size_t>(pairs[i]) + 1;
  }
  unexpected(got.size());
  return out;
}

std::string compare_among(const Nodes& expected, const Rows& got, Time start) {
  std::string out;
  std::size_t from = 0;
  for (const config::Node& node : expected) {
    std::size_t k = from;
    while (k < got.size() && !mismatches(node, *got[k], start).empty()) ++k;
    if (k == got.size()) {
      std::vector<bool> passed(got.size());
      std::fill_n(passed.begin(), from, true);
      out += fmt::format("    - {}\n", shown(node)) + nearest(node, got, passed, start);
    } else {
      from = k + 1;
    }
  }
  return out;
}

std::string compare_none(const Nodes& unwanted, const Rows& got, Time start) {
  std::string out;
  for (const config::Node& node : unwanted)
    for (const Row* row : got)
      if (mismatches(node, *row, start).empty())
        out += fmt::format("      not {}\n    + {}\n", shown(node), shown(*row, start));
  return out;
}

}  // namespace millrace::cli
