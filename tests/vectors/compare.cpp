#include "compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

namespace millrace::vectors {

namespace {

/// Pairs of incident numbers seen so far; each expected one must always meet the same actual one, and the other way round.
class Incidents {
 public:
  bool same(std::int64_t expected, const Json& actual) {
    std::string name = actual.is_number() ? std::to_string(actual.get<std::int64_t>()) : actual.get<std::string>();
    if (expected == 0 || name == "0") return expected == 0 && name == "0";
    auto [there, fresh] = actual_.try_emplace(expected, name);
    auto [back, also_fresh] = expected_.try_emplace(name, expected);
    return there->second == name && back->second == expected;
  }

 private:
  std::map<std::int64_t, std::string> actual_;
  std::map<std::string, std::int64_t> expected_;
};

bool equal_numbers(const Json& expected, const Json& actual) {
  if (expected.is_number_integer() && actual.is_number_integer())
    return expected.get<std::int64_t>() == actual.get<std::int64_t>();
  double a = expected.get<double>();
  double b = actual.get<double>();
  if (expected.is_number_integer()) return a == b;
  return std::abs(a - b) <= 1e-9 * std::max(1.0, std::abs(a));
}

bool equal_values(const Json& expected, const Json& actual) {
  if (expected.is_number() && actual.is_number()) return equal_numbers(expected, actual);
  return expected == actual;
}

std::string row_difference(const Json& expected, const Json& actual, Incidents& incidents) {
  for (const auto& [name, value] : expected.items()) {
    if (!actual.contains(name)) return fmt::format("'{}' is missing in {}", name, actual.dump());
    bool same =
        name == "incident" ? incidents.same(value.get<std::int64_t>(), actual[name]) : equal_values(value, actual[name]);
    if (!same) return fmt::format("'{}' is {} instead of {} in {}", name, actual[name].dump(), value.dump(), actual.dump());
  }
  // These say something by being there.
  for (const char* name : {"partial", "quiet"})
    if (actual.value(name, false) && !expected.value(name, false)) return fmt::format("'{}' is set in {}", name, actual.dump());
  return {};
}

std::map<std::string, std::vector<Json>> by_key(const Json& rows) {
  std::map<std::string, std::vector<Json>> keys;
  for (const Json& row : rows) keys[row.value("key", std::string())].push_back(row);
  return keys;
}

}  // namespace

std::string difference(const Json& expected, const Rows& rows) {
  Incidents incidents;
  for (const auto& [section, wanted] : expected.items()) {
    if (!rows.contains(section)) return fmt::format("unknown section '{}'", section);
    auto expected_keys = by_key(wanted);
    auto actual_keys = by_key(rows[section]);
    for (const auto& [key, found] : actual_keys)
      if (found.size() > expected_keys[key].size())
        return fmt::format("{}: {} rows of '{}' instead of {}; one too many may be {}", section, found.size(), key,
                           expected_keys[key].size(), found[expected_keys[key].size()].dump());
    for (const auto& [key, wants] : expected_keys) {
      const auto& found = actual_keys[key];
      for (std::size_t i = 0; i < wants.size(); ++i) {
        if (i >= found.size()) return fmt::format("{}: row {} of '{}' is missing: {}", section, i + 1, key, wants[i].dump());
        std::string wrong = row_difference(wants[i], found[i], incidents);
        if (!wrong.empty()) return fmt::format("{}: row {} of '{}': {}", section, i + 1, key, wrong);
      }
    }
  }
  return {};
}

}  // namespace millrace::vectors
