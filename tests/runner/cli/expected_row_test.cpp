#include "runner/cli/expected_row.h"

#include <catch2/catch.hpp>

#include "runner/config/yaml.h"
#include "runner/stage/json.h"

using namespace millrace;
using namespace millrace::cli;

namespace {

using Catch::Matchers::Contains;

constexpr Time start = from_millis(1'000'000);

config::Node node(const std::string& yaml) {
  config::Problems problems("test.yaml");
  auto parsed = config::parse_yaml(yaml, problems);
  REQUIRE(parsed);
  return *parsed;
}

std::vector<config::Node> nodes(const std::string& yaml) { return node(yaml).items; }

/// Rows that came out at the times of their `s`, a number of seconds.
class Rows {
 public:
  explicit Rows(const std::string& json) {
    Batch batch;
    JsonDecoder decoder;
    REQUIRE(decoder.decode(json, batch).has_value());
    for (Record& record : batch.records) {
      record.device = "d";
      record.time = start + std::chrono::seconds(record.fields.find("s")->as_integer());
    }
    Time now = batch.records.empty() ? start : batch.records.back().time;
    collected_.add(Collected::Seen::emitted, "stage", batch, now);
    for (const auto& row : collected_.rows()) pointers.push_back(&row);
  }
  std::vector<const Collected::Row*> pointers;

 private:
  Collected collected_{start};
};

std::size_t wrongs(const std::string& expected, const std::string& got) {
  Rows rows(got);
  return mismatches(node(expected), *rows.pointers.front(), start).size();
}

}  // namespace

TEST_CASE("an expected row names the members it cares for, at any depth") {
  const std::string got = R"({"s": 3, "n": 10, "list": [{"a": 1, "b": 2}], "map": {"x": 1.5}, "none": null, "empty": {}})";
  CHECK(wrongs("{n: 10.0, at: 3s, when: 3s, device: d, stage: stage}", got) == 0);
  CHECK(wrongs("{list: [{b: 2}], map: {x: 1.5}, none: null, absent: null, empty: {}}", got) == 0);
  CHECK(wrongs("{n: 11}", got) == 1);
  CHECK(wrongs("{n: '10'}", got) == 1);
  CHECK(wrongs("{list: []}", got) == 1);
  CHECK(wrongs("{list: [{b: 2}, {}]}", got) == 1);
  CHECK(wrongs("{map: {}}", got) == 1);
  CHECK(wrongs("{map: {y: 1}}", got) == 1);
  CHECK(wrongs("{absent: 1, at: 4s, when: 1s, device: e, stage: other}", got) == 5);
}

TEST_CASE("what differs shows what was expected, what came, and what is nearest") {
  Rows got(
      R"([{"s": 1, "rule": "hot", "to": "FIRING"}, {"s": 2, "rule": "cold", "to": "FIRING"}, {"s": 5, "rule": "hot", "to": "OK"}])");
  CHECK(compare_all(nodes("[{rule: hot}, {rule: cold}, {to: OK}]"), got.pointers, start).empty());
  std::string text = compare_all(nodes("[{rule: hot, to: FIRING}, {rule: hot, to: OK, at: 4s}]"), got.pointers, start);
  CHECK_THAT(text, Contains("      {rule: hot, to: FIRING}\n"));
  CHECK_THAT(text, Contains("    - {rule: hot, to: OK, at: 4s}\n"));
  CHECK_THAT(text, Contains("'at' is 5s instead of 4s"));
  CHECK_THAT(text, Contains("    +       5s  stage  telemetry of d (at 2s)  {\"s\":2,\"rule\":\"cold\""));
  CHECK_THAT(compare_all({}, got.pointers, start), Contains("\"rule\":\"cold\""));
  Rows nothing("[]");
  CHECK(compare_all(nodes("[{rule: hot}]"), nothing.pointers, start) == "    - {rule: hot}\n");
}

TEST_CASE("rows among others stand in order, and unwanted ones nowhere") {
  Rows got(R"([{"s": 1, "n": 1}, {"s": 2, "n": 2}, {"s": 3, "n": 3}])");
  CHECK(compare_among(nodes("[{n: 1}, {n: 3}]"), got.pointers, start).empty());
  CHECK_THAT(compare_among(nodes("[{n: 3}, {n: 1}]"), got.pointers, start), Contains("- {n: 1}"));
  CHECK(compare_none(nodes("[{n: 4}, {n: 1, at: 2s}]"), got.pointers, start).empty());
  CHECK_THAT(compare_none(nodes("[{n: 2}]"), got.pointers, start), Contains("not {n: 2}"));
}
