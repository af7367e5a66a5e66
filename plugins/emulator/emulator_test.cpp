#include <catch2/catch.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "plugins/emulator/anomaly.h"
#include "plugins/emulator/devkit.h"
#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin emulator_plugin();
}

namespace {

using namespace millrace;
using emulator::Anomaly;
using emulator::DevKit;

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
  Anomaly anomaly{20s, 5s, 15};
  CHECK(anomaly.humidity_offset(19s, 0, 2) == 0);
  CHECK(anomaly.humidity_offset(20s, 0, 2) == 15);
  CHECK(anomaly.humidity_offset(20s, 1, 2) == 0);
  CHECK(anomaly.humidity_offset(24999ms, 0, 2) == 15);
  CHECK(anomaly.humidity_offset(25s, 0, 2) == 0);
  CHECK(anomaly.humidity_offset(40s, 0, 2) == 0);
  CHECK(anomaly.humidity_offset(40s, 1, 2) == 15);
  CHECK(anomaly.humidity_offset(60s, 0, 2) == 15);
  Anomaly never{0s, 5s, 15};
  CHECK(never.humidity_offset(20s, 0, 1) == 0);
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

}  // namespace
