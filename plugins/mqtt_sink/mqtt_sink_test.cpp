#include <catch2/catch.hpp>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/mqtt/connection.h"
#include "tests/support/mosquitto.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin mqtt_sink_plugin();
}

namespace {

using namespace millrace;
using test::Mosquitto;
using test::TestHost;

std::unique_ptr<Sink> make_sink(const std::shared_ptr<TestHost>& host, const std::string& yaml) {
  config::Problems problems{"test.yaml"};
  auto node = config::parse_yaml("plugin: mqtt_sink\n" + yaml, problems);
  REQUIRE(node);
  auto make = mqtt_sink_plugin().parse(*node, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::get<std::unique_ptr<Sink>>(make(host->context()));
}

Batch numbers(int first, int last) {
  Batch batch;
  for (int n = first; n <= last; ++n) {
    Record& r = batch.append();
    r.device = "a";
    r.fields.push(batch.arena(), "n", Value::integer(n));
  }
  return batch;
}

/// Somebody else at the broker who keeps what arrives.
struct Listener {
  explicit Listener(const Mosquitto& broker) {
    mqtt::Broker options;
    options.broker = broker.url();
    options.client_id = "listener";
    mqtt::Connection::Handlers handlers;
    handlers.message = [this](const mqtt::Message& m) {
      std::lock_guard lock(mutex);
      received.emplace_back(m.topic, m.payload);
      changed.notify_all();
    };
    connection = std::make_unique<mqtt::Connection>(options, true, std::move(handlers));
    REQUIRE(connection->open({}).has_value());
    REQUIRE(connection->subscribe({"#"}, 1, {}).has_value());
  }
  bool wait_for(std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(60), [&] { return received.size() >= count; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::pair<std::string, std::string>> received;
  std::unique_ptr<mqtt::Connection> connection;
};

TEST_CASE("batches arrive in order and are settled when the broker has them") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  Listener listener(broker);
  int qos = GENERATE(0, 1, 2);
  auto host = TestHost::make("out");
  auto sink = make_sink(
      host, "broker: " + broker.url() + "\nqos: " + std::to_string(qos) + (qos == 2 ? "\nwindow: 20" : "\nwindow: 50"));
  REQUIRE(sink->connect().has_value());
  int settled = 0;
  for (int first = 1; first <= 1000; first += 10) {
    host->ack = Ack([&](Settlement how) { settled += how == Settlement::settled ? 1 : 0; });
    auto written = sink->write(numbers(first, first + 9));
    INFO((written ? "" : written.error().what));
    REQUIRE(written.has_value());
  }
  while (!sink->idle()) {
    REQUIRE(host->wait_for_wake());
    REQUIRE(sink->tick(host->time.now()).has_value());
  }
  CHECK(settled == 100);
  REQUIRE(listener.wait_for(1000));
  for (int n = 1; n <= 1000; ++n) {
    REQUIRE(listener.received[static_cast<std::size_t>(n - 1)].first == "devices/a/messages/events/");
    REQUIRE(listener.received[static_cast<std::size_t>(n - 1)].second == "{\"n\":" + std::to_string(n) + "}");
  }
}

TEST_CASE("a record whose topic cannot be made is rejected, its neighbours are published") {
  Mosquitto broker;
  Listener listener(broker);
  auto host = TestHost::make("out");
  auto sink = make_sink(host, "broker: " + broker.url() + "\ntopic: x/{device}\nenvelope: true");
  REQUIRE(sink->connect().has_value());
  Batch batch = numbers(1, 3);
  batch.records[1].device = "b/#";
  REQUIRE(sink->write(batch).has_value());
  REQUIRE(listener.wait_for(2));
  CHECK(listener.received.size() == 2);
  CHECK_THAT(listener.received[0].second, Catch::Contains("\"fields\":{\"n\":1}") && Catch::Contains("\"device\":\"a\""));
  REQUIRE(host->rejects.size() == 1);
  CHECK(host->rejects[0].device == "b/#");
}

TEST_CASE("a broker that goes away is unavailable, and takes the batch when it is back") {
  Mosquitto broker;
  auto host = TestHost::make("out");
  auto sink = make_sink(host, "broker: " + broker.url());
  REQUIRE(sink->connect().has_value());
  REQUIRE(sink->write(numbers(1, 1)).has_value());
  while (!sink->idle()) {
    REQUIRE(host->wait_for_wake());
    REQUIRE(sink->tick(host->time.now()).has_value());
  }
  broker.stop();
  REQUIRE(host->wait_for_wake());
  auto ticked = sink->tick(host->time.now());
  REQUIRE(ticked.has_error());
  CHECK(ticked.error().kind == ErrorKind::unavailable);
  auto written = sink->write(numbers(2, 2));
  REQUIRE(written.has_error());
  CHECK(written.error().kind == ErrorKind::unavailable);
  CHECK(sink->connect().has_error());
  broker.start();
  Listener listener(broker);
  REQUIRE(sink->connect().has_value());
  REQUIRE(sink->write(numbers(2, 2)).has_value());
  REQUIRE(listener.wait_for(1));
  CHECK(listener.received[0].second == "{\"n\":2}");
}

TEST_CASE("what the broker has not acknowledged is published again after the next connect") {
  Mosquitto broker;
  auto host = TestHost::make("out");
  auto sink = make_sink(host, "broker: " + broker.url());
  REQUIRE(sink->connect().has_value());
  broker.freeze();
  bool settled = false;
  host->ack = Ack([&](Settlement how) { settled = how == Settlement::settled; });
  REQUIRE(sink->write(numbers(1, 5)).has_value());
  CHECK_FALSE(sink->idle());
  broker.stop();
  REQUIRE(host->wait_for_wake());
  REQUIRE(sink->tick(host->time.now()).has_error());
  CHECK_FALSE(settled);
  broker.start();
  Listener listener(broker);
  REQUIRE(sink->connect().has_value());
  REQUIRE(listener.wait_for(5));
  while (!sink->idle()) {
    REQUIRE(host->wait_for_wake());
    REQUIRE(sink->tick(host->time.now()).has_value());
  }
  CHECK(settled);
}

TEST_CASE("a stop ends the waiting for a broker that does not answer") {
  Mosquitto broker;
  auto host = TestHost::make("out");
  auto sink = make_sink(host, "broker: " + broker.url());
  host->stop.request_stop();
  auto connected = sink->connect();
  REQUIRE(connected.has_error());
  CHECK(connected.error().kind == ErrorKind::unavailable);
}

TEST_CASE("a sink whose connection another client takes by the same client_id is told so") {
  Mosquitto broker;
  auto host = TestHost::make("out");
  auto sink = make_sink(host, "broker: " + broker.url() + "\nclient_id: twin");
  mqtt::Broker other;
  other.broker = broker.url();
  other.client_id = "twin";
  Result<void> lost;
  for (int i = 0; i < 3; ++i) {
    REQUIRE(sink->connect().has_value());
    mqtt::Connection thief(other, true, {});
    REQUIRE(thief.open({}).has_value());
    for (lost = sink->tick(host->time.now()); lost && host->wait_for_wake();) lost = sink->tick(host->time.now());
    REQUIRE(lost.has_error());
  }
  CHECK(lost.error().kind == ErrorKind::unavailable);
  CHECK_THAT(lost.error().what, Catch::Contains("another client has the client_id 'twin'"));
}

TEST_CASE("a window that QoS 2 does not allow is a problem of the configuration") {
  config::Problems problems{"test.yaml"};
  auto node = config::parse_yaml("plugin: mqtt_sink\nqos: 2\nwindow: 21", problems);
  REQUIRE(node);
  CHECK_FALSE(mqtt_sink_plugin().parse(*node, problems));
  REQUIRE(problems.size() == 1);
  CHECK_THAT(problems.list().front().text(), Catch::StartsWith("test.yaml:3:") && Catch::Contains("20 at most with qos: 2"));
}

}  // namespace
