#include "runner/cli/script.h"

#include <catch2/catch.hpp>

#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"

using namespace millrace;
using namespace millrace::cli;

namespace {

using Catch::Matchers::Contains;
using Windows = supervise::VirtualRun::Windows;

constexpr Time start = from_millis(1'000'000);

const graph::Loader& loader() {
  static const graph::Loader made({}, [](std::string_view) { return std::nullopt; });
  return made;
}

ScriptReader::Item entry(const std::string& yaml) {
  config::Problems problems("test.yaml");
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node);
  return ScriptReader::of_test(loader(), ".", start).entry(*node);
}

ScriptReader::Item line(std::string_view json) { return ScriptReader::of_file(loader(), ".").line(json); }

template <class T>
T what(ScriptReader::Item item) {
  if (!item) FAIL(item.error().what);
  REQUIRE(std::holds_alternative<T>(item->what));
  return std::get<T>(std::move(item->what));
}

/// What is wrong, with the member it is put down to.
std::string wrong(const ScriptReader::Item& item) {
  if (item) return "nothing";
  return item.error().member + "|" + item.error().what;
}

}  // namespace

TEST_CASE("a line of a recording may silence, end that, and lose the process") {
  auto item = line(R"({"silence": {"from": 10, "to": 20.5, "key": "a", "rule": "hot", "at": 5}})");
  REQUIRE(item.has_value());
  CHECK(item->at == from_millis(5));
  Silence silence = what<ScriptItem::Silence>(std::move(item)).silence;
  CHECK(silence.from == from_millis(10));
  CHECK(silence.to == from_millis(20) + 500us);
  CHECK((silence.key == "a" && silence.rule == "hot" && silence.id.empty()));

  CHECK_FALSE(silence.once);
  CHECK(what<ScriptItem::Silence>(line(R"({"at": 5, "silence": {"key": "a", "to": 9, "once": true}})")).silence.once);

  CHECK(what<ScriptItem::Unsilence>(line(R"({"unsilence": {"key": "a", "at": 5}})")).which.key == "a");
  CHECK(what<ScriptItem::Unsilence>(line(R"({"unsilence": "1", "at": 5})")).which.id == "1");
  const auto attic = what<ScriptItem::Unsilence>(line(R"({"unsilence": {"labels": {"room": "attic*"}, "at": 5}})")).which;
  CHECK(attic.labels == AlertLabels{{"room", "attic*"}});

  auto lost = line(R"({"restart": {"down": 7, "up": 9, "windows": "lost"}})");
  REQUIRE(lost.has_value());
  CHECK(lost->at == from_millis(7));
  auto restart = what<ScriptItem::Restart>(std::move(lost));
  CHECK((restart.down == from_millis(7) && restart.up == from_millis(9) && restart.windows == Windows::lost));
  CHECK(what<ScriptItem::Restart>(line(R"({"restart": {"down": 7, "up": 9}})")).windows == Windows::kept);
}

TEST_CASE("a control that is not what it should be says which member is wrong") {
  CHECK_THAT(wrong(line(R"({"silence": {"from": 10, "at": 5}})")), Contains("to|'to': missing"));
  CHECK_THAT(wrong(line(R"({"silence": {"to": 10}})")), Contains("at|'at': missing"));
  CHECK_THAT(wrong(line(R"({"silence": {"at": 1, "to": 1}})")), Contains("to|'to': a silence ends after it begins"));
  CHECK_THAT(wrong(line(R"({"silence": {"at": 1, "to": 2, "once": "yes"}})")), Contains("once|'once': expected true or false"));
  CHECK_THAT(wrong(line(R"({"silence": {"at": 1, "from": 2, "to": 3, "once": true}})")), Contains("from|'from': with 'once'"));
  CHECK_THAT(wrong(line(R"({"unsilence": {"at": 1, "key": "a", "once": true}})")), Contains("once|'once': unknown here"));
  CHECK_THAT(wrong(line(R"({"restart": {"down": 10}})")), Contains("up|'up': missing"));
  CHECK_THAT(wrong(line(R"({"restart": {"down": 2, "up": 1}})")), Contains("up|"));
  CHECK_THAT(wrong(line(R"({"restart": {"down": 1, "up": 2, "windows": "some"}})")), Contains("kept or lost"));
  CHECK_THAT(wrong(line(R"({"ack": 5, "at": 1})")), Contains("ack|'ack': expected a text, got 5"));
  CHECK_THAT(wrong(line(R"({"ack": "", "at": 1})")), Contains("ack|'ack': expected the key of an alert"));
  CHECK_THAT(wrong(line(R"({"ack": {"at": 1}})")), Contains("key|'key': expected the key of an alert"));
  CHECK_THAT(wrong(line(R"({"ack": "a", "at": 1, "by": ["ann"]})")), Contains("by|'by': expected a text, got [\"ann\"]"));
  CHECK_THAT(wrong(line(R"({"ack": "a", "at": 1, "rul": "hot"})")), Contains("rul|'rul': unknown here; did you mean 'rule'?"));
  CHECK_THAT(wrong(line(R"({"ack": "a", "at": "soon"})")), Contains("at|'at': expected milliseconds since the epoch"));
  CHECK_THAT(wrong(line(R"({"ack": "a"})")), Contains("at|'at': missing"));
  CHECK_THAT(wrong(line(R"({"unsilence": 5, "at": 1})")), Contains("unsilence|"));
  CHECK_THAT(wrong(line(R"({"tick": []})")), Contains("tick|"));
  CHECK_THAT(wrong(line(R"({"flush": false})")), Contains("flush|'flush': expected true"));
  CHECK_THAT(wrong(line(R"({"outage": {"from": 1, "to": 2}})")), Contains("sink|"));
  CHECK_THAT(wrong(line(R"({"reload": "none.yaml", "at": 1})")), Contains("reload|'reload': the file is not good"));
  CHECK_THAT(wrong(line(R"({"akc": "a", "at": 1, "device": 7})")), Contains("device|'device': expected a text, got 7"));
  CHECK_THAT(wrong(line(R"({"akc": "a"})")), Contains("neither a record"));
}

TEST_CASE("a record that is not what it should be says which member is wrong") {
  CHECK_THAT(wrong(line(R"({"device": 5, "time": 1, "fields": {}})")), Contains("device|'device': expected a text, got 5"));
  CHECK_THAT(wrong(line(R"({"device": ["a"], "time": 1, "fields": {}})")), Contains("device|"));
  CHECK_THAT(wrong(line(R"({"device": "a", "time": true, "fields": {}})")), Contains("time|"));
  CHECK_THAT(wrong(line(R"({"device": "a", "time": 1, "arrival": "x", "fields": {}})")), Contains("arrival|"));
  CHECK_THAT(wrong(line(R"({"device": "a", "fields": {}})")), Contains("time|'time': missing"));
  CHECK_THAT(wrong(line(R"({"device": "a", "time": 1})")), Contains("fields|'fields': missing"));
  CHECK_THAT(wrong(line(R"({"device": "a", "time": 1, "fields": []})")), Contains("fields|'fields': expected an object"));
  CHECK_THAT(wrong(line(R"([1])")), Contains("|"));
  CHECK_THAT(wrong(line(R"({"device": "a",)")), Contains("|"));
  CHECK(wrong(line(R"({"device": null, "time": 1, "fields": {"t": 1}})")) == "nothing");
}

TEST_CASE("a test and a file take the same inputs") {
  auto records =
      what<ScriptItem::Records>(entry("{time: 5s, arrival: 7s, device: 17, kind: presence, fields: {device: 1, at: x}}"));
  const Record& record = records.batch.records.front();
  CHECK((record.time == start + 5s && record.arrival == start + 7s));
  CHECK((record.device == "17" && record.kind == "presence"));
  CHECK(record.fields.size() == 2);
  CHECK(entry("{tick: 20s}")->at == start + 20s);
  CHECK(entry("{at: 20s, tick: true}")->at == start + 20s);
  CHECK(!entry("{flush: true}")->at);
  CHECK(entry("{tick: 1970-01-01T00:00:01Z}")->at == from_millis(1000));
  auto restart = what<ScriptItem::Restart>(entry("{restart: {down: 20s, up: 30s}}"));
  CHECK((restart.down == start + 20s && restart.up == start + 30s));

  auto short_one = what<ScriptItem::Records>(line(R"({"at": 5, "device": "a", "t": 1, "u": null})"));
  CHECK(short_one.batch.records.front().fields.size() == 2);
  auto outage = what<ScriptItem::Outage>(line(R"({"outage": {"sink": "phone", "from": 1, "to": 2}})"));
  CHECK((outage.sink == "phone" && outage.until == from_millis(2)));
  CHECK(what<ScriptItem::Outage>(entry("{at: 1s, outage: phone, to: 2s}")).until == start + 2s);

  auto reader = ScriptReader::of_file(loader(), ".");
  REQUIRE(reader.line(R"({"start": 1000})").has_value());
  CHECK(reader.line(R"({"tick": "5s"})")->at == from_millis(6000));
  CHECK_THAT(wrong(reader.line(R"({"start": 2000})")), Contains("start|'start': stands before all other inputs"));
}

TEST_CASE("a bare number is a time in a test only after a start") {
  CHECK_THAT(wrong(entry("{at: 20, device: a}")), Contains("at|'at': expected a duration from the start"));
  config::Problems problems("test.yaml");
  auto nodes = config::parse_yaml("[{start: 5000}, {tick: 6000}, {tick: 2s}]", problems);
  auto reader = ScriptReader::of_test(loader(), ".", start);
  CHECK(reader.entry(nodes->items[0])->at == from_millis(5000));
  CHECK(reader.start() == from_millis(5000));
  CHECK(reader.entry(nodes->items[1])->at == from_millis(6000));
  CHECK(reader.entry(nodes->items[2])->at == from_millis(7000));
}

TEST_CASE("a test may silence, end that, and lose the process") {
  Silence silence = what<ScriptItem::Silence>(entry("{at: 5s, silence: {to: 30s, key: a, by: ann}}")).silence;
  CHECK((silence.from == start + 5s && silence.to == start + 30s && silence.key == "a" && silence.by == "ann"));
  CHECK(entry("{silence: {from: 2s, to: 3s}}")->at == start + 2s);
  Silence attic =
      what<ScriptItem::Silence>(entry("{at: 5s, silence: {to: 30s, labels: {room: 'attic*', site: 'n?'}}}")).silence;
  CHECK(attic.labels == AlertLabels{{"room", "attic*"}, {"site", "n?"}});
  CHECK_THAT(wrong(entry("{at: 5s, silence: {to: 30s, labels: attic}}")), Contains("'labels': expected a map of texts"));
  CHECK(what<ScriptItem::Unsilence>(entry("{at: 5s, unsilence: {rule: hot}}")).which.rule == "hot");
  CHECK(what<ScriptItem::Unsilence>(entry("{at: 5s, unsilence: night}")).which.id == "night");
  auto restart = what<ScriptItem::Restart>(entry("{at: 20s, restart: {up: 30s, windows: lost}}"));
  CHECK((restart.down == start + 20s && restart.up == start + 30s && restart.windows == Windows::lost));
  CHECK_THAT(wrong(entry("{at: 5s, silence: {key: a}}")), Contains("'to'"));
  CHECK_THAT(wrong(entry("{at: 20s, restart: {up: soon}}")), Contains("'up'"));
  CHECK_THAT(wrong(entry("{time: 20s, device: a, feilds: {}, fields: {}}")), Contains("feilds|"));
  CHECK_THAT(wrong(entry("5s")), Contains("expected a map"));
}

TEST_CASE("a device's field may be called as a control is") {
  auto records = what<ScriptItem::Records>(entry("{at: 1s, device: a, restart: 3, silence: true}"));
  REQUIRE(records.batch.records.size() == 1);
  CHECK(records.batch.records.front().fields.size() == 2);
}
