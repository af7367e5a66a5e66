#include "runner/cli/script.h"

#include <catch2/catch.hpp>

#include "runner/config/yaml.h"

using namespace millrace;
using namespace millrace::cli;

namespace {

using Catch::Matchers::Contains;
using Windows = supervise::VirtualRun::Windows;

constexpr Time start = from_millis(1'000'000);

Result<ScriptItem> entry(const std::string& yaml) {
  config::Problems problems("test.yaml");
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node);
  return script_item(*node, start);
}

template <class T>
T what(Result<ScriptItem> item) {
  if (!item) FAIL(item.error().what);
  REQUIRE(std::holds_alternative<T>(item->what));
  return std::get<T>(std::move(item->what));
}

}  // namespace

TEST_CASE("a line of a recording may silence, end that, and lose the process") {
  auto item = script_item(R"({"silence": {"from": 10, "to": 20.5, "key": "a", "rule": "hot", "at": 5}})");
  REQUIRE(item.has_value());
  CHECK(item->at == from_millis(5));
  Silence silence = what<ScriptItem::Silence>(std::move(item)).silence;
  CHECK(silence.from == from_millis(10));
  CHECK(silence.to == from_millis(20) + 500us);
  CHECK((silence.key == "a" && silence.rule == "hot" && silence.id.empty()));

  CHECK(what<ScriptItem::Unsilence>(script_item(R"({"unsilence": {"key": "a", "at": 5}})")).which.key == "a");
  CHECK(what<ScriptItem::Unsilence>(script_item(R"({"unsilence": "1", "at": 5})")).which.id == "1");

  auto lost = script_item(R"({"restart": {"down": 7, "up": 9, "windows": "lost"}})");
  REQUIRE(lost.has_value());
  CHECK(lost->at == from_millis(7));
  auto restart = what<ScriptItem::Restart>(std::move(lost));
  CHECK((restart.down == from_millis(7) && restart.up == from_millis(9) && restart.windows == Windows::lost));
  CHECK(what<ScriptItem::Restart>(script_item(R"({"restart": {"down": 7, "up": 9}})")).windows == Windows::kept);
}

TEST_CASE("a control of a recording that lacks a time says which") {
  CHECK_THAT(script_item(R"({"silence": {"from": 10, "at": 5}})").error().what, Contains("\"to\""));
  CHECK_THAT(script_item(R"({"silence": {"to": 10}})").error().what, Contains("\"at\""));
  CHECK_THAT(script_item(R"({"restart": {"down": 10}})").error().what, Contains("\"up\""));
  CHECK_THAT(script_item(R"({"restart": {"down": 1, "up": 2, "windows": "some"}})").error().what, Contains("kept or lost"));
}

TEST_CASE("a test may silence, end that, and lose the process") {
  Silence silence = what<ScriptItem::Silence>(entry("{at: 5s, silence: {to: 30s, key: a, by: ann}}")).silence;
  CHECK((silence.from == start + 5s && silence.to == start + 30s && silence.key == "a" && silence.by == "ann"));
  CHECK(entry("{silence: {from: 2s, to: 3s}}")->at == start + 2s);
  CHECK(what<ScriptItem::Unsilence>(entry("{at: 5s, unsilence: {rule: hot}}")).which.rule == "hot");
  CHECK(what<ScriptItem::Unsilence>(entry("{at: 5s, unsilence: night}")).which.id == "night");
  auto restart = what<ScriptItem::Restart>(entry("{at: 20s, restart: {up: 30s, windows: lost}}"));
  CHECK((restart.down == start + 20s && restart.up == start + 30s && restart.windows == Windows::lost));
  CHECK_THAT(entry("{at: 5s, silence: {key: a}}").error().what, Contains("'to'"));
  CHECK_THAT(entry("{at: 20s, restart: {up: soon}}").error().what, Contains("'up'"));
}

TEST_CASE("a device's field may be called as a control is") {
  auto records = what<ScriptItem::Records>(entry("{at: 1s, device: a, restart: 3, silence: true}"));
  REQUIRE(records.batch.records.size() == 1);
  CHECK(records.batch.records.front().fields.size() == 2);
}
