#include <catch2/catch.hpp>
#include <string>
#include <thread>

#include "plugins/mqtt_source/driven_source.h"

namespace {

using namespace millrace;
using namespace millrace::mqtt_source::driven;

TEST_CASE("messages of both qualities arrive in order with their device and topic") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  int qos = GENERATE(0, 1);
  Stage stage(TestHost::make("porch"), options(broker, "qos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 500, qos);
  REQUIRE(stage.receive(500));
  CHECK(stage.numbers == upto(500));
  const Record& first = stage.batches.front().records.front();
  CHECK(first.device == "a");
  CHECK(first.meta.find("topic")->as_text() == "devices/a/messages/events/");
  CHECK((first.sequence != 0) == (qos == 1));
  CHECK(first.source != 0);
  for (Batch& batch : stage.batches) CHECK(batch.ack.empty() == (qos == 0));
}

TEST_CASE("what has come with QoS 0 before a stop is still given") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: 0\nqueue: 16KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  constexpr std::int64_t room = (16 << 10) / 64;
  publish_numbers(broker, 1001, 2000, 0);
  // Messages are dropped once the queue is full.
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (host->dropped("queue_full").value() == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  stage.source->stop();
  std::vector<std::int64_t> numbers;
  for (Batch batch = stage.source->remaining().value(); !batch.empty(); batch = stage.source->remaining().value())
    for (const Record& r : batch.records) numbers.push_back(r.fields.find("n")->as_integer() - 1000);
  CHECK(numbers == upto(room));
}

TEST_CASE("malformed payloads go to the dead letters and are settled with their batch") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  {
    Stage stage(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish(broker, "{\"n\":\n[1]\n\xff\n");
    REQUIRE(stage.poll_until([&] { return host->rejects.size() == 3; }));
    CHECK(stage.numbers.empty());
    stage.settle();
    publish_numbers(broker, 4, 4);
    REQUIRE(stage.receive(1));
    CHECK(host->rejects.front().device == "a");
  }
  Stage again(host, options(broker));
  REQUIRE(again.receive(1));
  CHECK(again.numbers.front() == 4);
  CHECK(host->rejects.size() == 3);
}

TEST_CASE("a full QoS 0 queue drops and counts exactly") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: 0\nqueue: 16KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  // Each message takes 64 bytes of the queue.
  constexpr std::size_t sent = 2000;
  constexpr std::size_t room = (16 << 10) / 64;
  publish_numbers(broker, 1001, 1000 + sent, 0);
  Counter& dropped = host->dropped("queue_full");
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (dropped.value() < sent - room && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  REQUIRE(stage.receive(room));
  CHECK(stage.numbers.size() == room);
  CHECK(stage.numbers.back() == 1000 + room);
  CHECK(dropped.value() == sent - room);
}

TEST_CASE("retained messages are left out unless wanted, and counted") {
  Mosquitto broker;
  publish(broker, "{\"n\":1}\n", 1, "-r");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 2, 2);
  REQUIRE(stage.receive(1));
  CHECK(stage.numbers == std::vector<std::int64_t>{2});
  CHECK(host->dropped("retained").value() == 1);
  Stage wanted(TestHost::make("cellar"), options(broker, "retained: true"));
  REQUIRE(wanted.receive(1));
  CHECK(wanted.numbers.front() == 1);
}

TEST_CASE("a message larger than the limit is never kept whole, and what it was is in the dead letters") {
  Mosquitto broker;
  int qos = GENERATE(0, 1);
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "payload_limit: 1KiB\nqos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  std::string fits = "{\"n\":1,\"x\":\"" + std::string(1024 - 14, 'x') + "\"}";
  REQUIRE(fits.size() == 1024);
  publish(broker, fits + "\n{\"n\":2,\"x\":\"" + std::string(1024 - 13, 'x') + "\"}\n{\"n\":3}\n", qos);
  REQUIRE(stage.receive(2));
  CHECK(stage.numbers == std::vector<std::int64_t>{1, 3});
  REQUIRE(host->rejects.size() == 1);
  CHECK(host->rejects[0].device == "a");
  CHECK(host->rejects[0].what == "the payload has 1025 bytes, more than the 1024 that are taken; only its beginning is kept");
  CHECK(host->counter("oversize_messages").value() == 1);
  stage.settle();
}

TEST_CASE("an empty message, which clears a retained one, is no bad payload") {
  Mosquitto broker;
  int qos = GENERATE(0, 1);
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "qos: " + std::to_string(qos)));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish(broker, "\n{\"n\":1}\n", qos, "-r");
  REQUIRE(stage.receive(1));
  CHECK(host->rejects.empty());
  CHECK(host->dropped("cleared").value() == 1);
}

TEST_CASE("a shared subscription delivers under the plain topic") {
  Mosquitto broker;
  Stage stage(TestHost::make("porch"), "broker: " + broker.url() + "\ntopics: [$share/group/devices/+/messages/events/#]\n");
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 3);
  REQUIRE(stage.receive(3));
  CHECK(stage.batches.front().records.front().device == "a");
}

TEST_CASE("options that cannot work are problems of the configuration") {
  for (const char* yaml :
       {"topics: []", "broker: mqtt://127.0.0.1", "topics: [a/#/b]", "topics: [a]\nqos: 2", "topics: [a]\nbroker: http://x",
        "topics: [a]\nbroker: mqtt://u:p@h", "topics: [a]\ndevice: {topic: 'x/{device}', field: y}", "topics: [a]\ndevice: x/y",
        "topics: [a]\ntls: {ca: x.pem}", "topics: [a]\npayload_limit: 513KiB\ninbox: {limit: 1MiB}",
        "topics: [a]\nqos: 0\npayload_limit: 3MiB"}) {
    INFO(yaml);
    config::Problems problems{"test.yaml"};
    CHECK_FALSE(parse(yaml, problems));
    CHECK(problems.size() == 1);
    for (const auto& problem : problems.list()) CHECK_THAT(problem.text(), !Catch::Contains("u:p"));
  }
}

}  // namespace
