#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "plugins/emulator/devkit.h"
#include "plugins/emulator/fleet.h"
#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin emulator_plugin();
}

namespace {

using namespace millrace;
using emulator::DevKit;
using emulator::Profile;
using emulator::Script;
using emulator::script_of;

const Value& field(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  REQUIRE(value != nullptr);
  return *value;
}

TEST_CASE("the same seed gives the same readings, another seed or device others") {
  DevKit a(7, 1, 1s);
  DevKit same(7, 1, 1s);
  DevKit other_device(7, 2, 1s);
  DevKit other_seed(8, 1, 1s);
  int differing_device = 0;
  int differing_seed = 0;
  for (int i = 0; i < 100; ++i) {
    double expected = a.next().temperature;
    CHECK(same.next().temperature == expected);
    differing_device += other_device.next().temperature != expected;
    differing_seed += other_seed.next().temperature != expected;
  }
  CHECK(differing_device > 90);
  CHECK(differing_seed > 90);
}

TEST_CASE("readings move smoothly and stay within the parts' ranges", "[slow]") {
  DevKit device(1, 1, 1s);
  double last = device.next().humidity;
  for (int i = 2; i < 100'000; ++i) {
    auto reading = device.next();
    REQUIRE(reading.message == i);
    REQUIRE(std::abs(reading.humidity - last) < 0.5);
    REQUIRE(reading.humidity > 35);
    REQUIRE(reading.humidity < 55);
    REQUIRE(reading.pressure > 1000);
    REQUIRE(std::abs(reading.accelerometer.z - 998) < 100);
    last = reading.humidity;
  }
}

TEST_CASE("a reading that an anomaly would push beyond the part's range stays at its end") {
  DevKit device(1, 1, 1s);
  CHECK(device.next(90).humidity == 100.0);
  CHECK(device.next(-90).humidity == 0.0);
}

TEST_CASE("anomalies come every so often, and the devices take turns") {
  Script script{20s, 5s, 15};
  CHECK_FALSE(script.episode(19s, 0, 2));
  REQUIRE(script.episode(20s, 0, 2));
  CHECK(script.episode(20s, 0, 2)->amplitude == 15);
  CHECK_FALSE(script.episode(20s, 1, 2));
  CHECK(script.episode(24999ms, 0, 2)->seconds == Approx(4.999));
  CHECK_FALSE(script.episode(25s, 0, 2));
  CHECK_FALSE(script.episode(40s, 0, 2));
  CHECK(script.episode(40s, 1, 2));
  CHECK(script.episode(60s, 0, 2)->kind == 1);
  CHECK_FALSE(Script{0s, 5s, 15}.episode(20s, 0, 1));
}

TEST_CASE("a profile's anomalies have times of their own where the options leave them open") {
  CHECK(script_of({}, Profile::getstarted).every == 20s);
  CHECK(script_of({}, Profile::getstarted).length == 5s);
  CHECK(script_of({}, Profile::vehicle).every == 2min);
  CHECK(script_of({}, Profile::vehicle).length == 90s);
  CHECK(script_of({.every = 30s}, Profile::vehicle).length == 30s);
  CHECK(script_of({.every = 30s, .length = 10s}, Profile::vehicle).length == 10s);
}

struct Stage {
  explicit Stage(const std::string& options) {
    host->time.set(Time{1'000'000s});
    config::Problems problems{"test.yaml"};
    auto node = config::parse_yaml("plugin: emulator\n" + options, problems);
    REQUIRE(node);
    auto make = emulator_plugin().parse(*node, problems);
    REQUIRE(problems.empty());
    source = std::get<std::unique_ptr<Source>>(make(host->context()));
    REQUIRE(source->connect().has_value());
  }
  std::shared_ptr<test::TestHost> host = test::TestHost::make("emulator");
  std::unique_ptr<Source> source;
};

TEST_CASE("every device sends at the start and once an interval, its messageId counting up") {
  Stage stage("devices: 2\ninterval: 10ms\n");
  for (int message = 1; message <= 5; ++message) {
    auto batch = stage.source->poll();
    REQUIRE(batch.has_value());
    REQUIRE(batch->size() == 2);
    CHECK(batch->records[0].device == "AZ3166-1");
    CHECK(batch->records[1].device == "AZ3166-2");
    for (const Record& record : batch->records) {
      CHECK(record.time == stage.host->time.now());
      CHECK(field(record, "messageId").as_integer() == message);
      CHECK(field(record, "accelerometer").as_object().size() == 3);
      CHECK(field(record, "ts").as_integer() == to_whole_millis(record.time));
    }
    CHECK(stage.source->poll()->empty());
    REQUIRE(stage.source->next_tick() == stage.host->time.now() + 10ms);
    stage.host->time.set(*stage.source->next_tick());
  }
}

TEST_CASE("a source with a count ends after it") {
  Stage stage("devices: 3\ninterval: 1s\ncount: 2\n");
  stage.host->time.set(stage.host->time.now() + 1s);
  CHECK(stage.source->poll()->size() == 6);
  auto end = stage.source->poll();
  REQUIRE(end.has_error());
  CHECK(end.error().kind == ErrorKind::finished);
}

TEST_CASE("batches are bounded when many devices are due") {
  Stage stage("devices: 2500\n");
  CHECK(stage.source->poll()->size() == 1024);
  CHECK(stage.source->poll()->size() == 1024);
  CHECK(stage.source->poll()->size() == 452);
  CHECK(stage.source->poll()->empty());
}

TEST_CASE("instants that a sleeping machine missed are skipped and counted, messageId goes on") {
  Stage stage("devices: 2\ninterval: 1s\n");
  CHECK(stage.source->poll()->size() == 2);
  stage.host->time.set(stage.host->time.now() + 1h);
  auto batch = stage.source->poll();
  REQUIRE(batch->size() == 2);
  CHECK(field(batch->records[0], "messageId").as_integer() == 2);
  CHECK(batch->records[0].time == stage.host->time.now());
  CHECK(stage.host->dropped("missed").value() == 2 * 3599);
}

TEST_CASE("an anomaly longer than its period is a problem of the configuration") {
  config::Problems problems{"test.yaml"};
  auto node = config::parse_yaml("plugin: emulator\nanomaly: {every: 2s, length: 3s}\n", problems);
  CHECK_FALSE(emulator_plugin().parse(*node, problems));
  CHECK(problems.size() == 1);
}

/// All that a fleet sends in `seconds`, one instant a second, as if by one device with an episode every two minutes.
std::vector<Record> ride(Profile profile, int seconds, std::vector<Batch>& kept) {
  auto fleet = emulator::make_fleet(profile, {1, 1, 1s});
  Script script = script_of({}, profile);
  std::vector<Record> records;
  for (int second = 0; second < seconds; ++second) {
    Batch& batch = kept.emplace_back();
    fleet->append(batch, 0, Time{1'000'000s} + std::chrono::seconds(second),
                  script.episode(std::chrono::seconds(second), 0, 1));
    records.insert(records.end(), batch.records.begin(), batch.records.end());
  }
  return records;
}

double number(const Record& record, std::string_view name) { return field(record, name).number().value(); }
std::int64_t second_of(const Record& record) { return (record.time - Time{1'000'000s}) / 1s; }

TEST_CASE("every profile sends the same for the same seed, and counts its messages up by one") {
  for (Profile profile : {Profile::getstarted, Profile::vehicle, Profile::process_line, Profile::drilling_rig, Profile::shop}) {
    std::vector<Batch> first, second;
    auto a = ride(profile, 600, first), b = ride(profile, 600, second);
    REQUIRE(a.size() > 300);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      REQUIRE(field(a[i], "messageId").as_integer() == static_cast<std::int64_t>(i + 1));
      REQUIRE(a[i].time == b[i].time);
      for (const Field& f : a[i].fields.view()) REQUIRE(field(b[i], f.name) == f.value);
    }
  }
}

TEST_CASE("a vehicle stands in its yard, drives out in an episode and comes back") {
  std::vector<Batch> kept;
  double farthest = 0;
  for (const Record& r : ride(Profile::vehicle, 240, kept)) {
    double north = (number(r, "lat") - 52.52) * 111'133;
    double east = (number(r, "lon") - 13.405) * 67'636;
    double distance = std::hypot(north, east);
    bool out = second_of(r) >= 120 && second_of(r) < 210;
    if (!out) {
      REQUIRE(distance < 90);
      REQUIRE(number(r, "speed") == 0);
    }
    REQUIRE(number(r, "speed") <= 50.5);
    farthest = std::max(farthest, distance);
  }
  CHECK(farthest > 300);
  CHECK(farthest < 700);
}

TEST_CASE("a machine's episodes take turns: heat, pressure, a fault, silence") {
  std::vector<Batch> kept;
  double hottest = 0, highest = 0;
  int faults = 0;
  std::int64_t last = -1, longest_gap = 0;
  for (const Record& r : ride(Profile::process_line, 600, kept)) {
    std::int64_t second = second_of(r);
    bool heat = second >= 120 && second < 210;
    bool pressure = second >= 240 && second < 330;
    if (heat) hottest = std::max(hottest, number(r, "temperature"));
    if (!heat) REQUIRE(number(r, "temperature") < 76);
    if (pressure) highest = std::max(highest, number(r, "pressure"));
    if (!pressure) REQUIRE(number(r, "pressure") < 5);
    faults += field(r, "status").as_text() == "fault";
    longest_gap = std::max(longest_gap, second - last);
    last = second;
  }
  CHECK(hottest > 100);
  CHECK(highest > 7);
  CHECK(faults == 90);
  CHECK(longest_gap == 91);
}

TEST_CASE("a rig's episodes take turns: torque that stays, a stall, a stuck string") {
  std::vector<Batch> kept;
  int hard = 0, stalled = 0, stuck = 0;
  for (const Record& r : ride(Profile::drilling_rig, 480, kept)) {
    hard += number(r, "torque") > 36;
    stalled += number(r, "rpm") < 1;
    stuck += number(r, "hook_load") > 220;
    REQUIRE(number(r, "rpm") < 130);
  }
  CHECK(hard > 30);
  CHECK(stalled == 3);
  CHECK(stuck > 30);
}

TEST_CASE("a shop's customers in view share their time, and a rush is one") {
  std::vector<Batch> kept;
  std::size_t usual = 0, rush = 0;
  for (const Record& r : ride(Profile::shop, 240, kept)) {
    std::int64_t second = second_of(r);
    usual += second < 120;
    rush += second >= 150 && second < 210;
  }
  CHECK(usual / 120.0 < 6);
  CHECK(rush / 60.0 > 8);
  std::size_t most = 0;
  for (const Batch& batch : kept) most = std::max(most, batch.size());
  CHECK(most > 8);
  CHECK(most < 40);
}

}  // namespace
