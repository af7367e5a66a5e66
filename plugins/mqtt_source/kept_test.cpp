// What the source has taken for good: its inbox, through restarts, refusals and successors.
#include <catch2/catch.hpp>
#include <optional>
#include <set>
#include <string>

#include "plugins/mqtt_source/driven_source.h"

namespace {

using namespace millrace;
using namespace millrace::mqtt_source::driven;

TEST_CASE("what a stage has not settled is there again after it is gone, what it has is not") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  {
    Stage stage(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish_numbers(broker, 1, 10);
    REQUIRE(stage.receive(10));
    stage.settle();
    publish_numbers(broker, 11, 30);
    REQUIRE(stage.receive(30));
  }
  Stage again(host, options(broker));
  REQUIRE(again.receive(20));
  CHECK(again.numbers.front() == 11);
  CHECK(again.numbers.back() == 30);
  again.settle();
  publish_numbers(broker, 31, 31);
  REQUIRE(again.receive(21));
  CHECK(again.numbers.size() == 21);
  CHECK(again.numbers.back() == 31);
}

TEST_CASE("a successor takes over the inbox while its predecessor's batches are still out") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  std::optional<Stage> former(std::in_place, host, options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 5);
  REQUIRE(former->receive(5));
  publish_numbers(broker, 6, 10);
  REQUIRE(former->receive(10));
  std::vector<Batch> out = std::move(former->batches);
  former->source->stop();
  CHECK(former->source->remaining().value().empty());
  former.reset();

  Stage successor(host, options(broker, "catch_up: 0s\ninbox: {limit: 2MiB}"));
  publish_numbers(broker, 11, 15);
  REQUIRE(successor.receive(5));
  CHECK(successor.numbers.front() == 11);
  for (Batch& batch : out) {
    bool first_half = batch.records[0].fields.find("n")->as_integer() <= 5;
    first_half ? batch.ack.settle() : batch.ack.refuse();
  }
  REQUIRE(successor.receive(10));
  CHECK(std::set(successor.numbers.begin() + 5, successor.numbers.end()) == std::set<std::int64_t>{6, 7, 8, 9, 10});
  successor.settle();
  successor.source.reset();

  Stage last(host, options(broker));
  publish_numbers(broker, 16, 16);
  REQUIRE(last.receive(1));
  CHECK(last.numbers.front() == 16);
}

TEST_CASE("two stages never share an inbox") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker));
  config::Problems problems{"test.yaml"};
  auto other = std::get<std::unique_ptr<Source>>(parse(options(broker), problems)(host->context()));
  auto refused = other->connect();
  REQUIRE(refused.has_error());
  CHECK(refused.error().kind == ErrorKind::unavailable);
  CHECK_THAT(refused.error().what, Catch::Contains("in use by another source"));
}

TEST_CASE("a refused batch is offered again by the running source") {
  Mosquitto broker;
  Stage stage(TestHost::make("porch"), options(broker));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish_numbers(broker, 1, 5);
  REQUIRE(stage.receive(5));
  stage.batches.clear();
  REQUIRE(stage.receive(10));
  CHECK(std::set(stage.numbers.begin() + 5, stage.numbers.end()) == std::set<std::int64_t>{1, 2, 3, 4, 5});
}

TEST_CASE("a source whose inbox is nearly full leaves the messages to the broker until there is room") {
  Mosquitto broker("allow_anonymous true\nmax_queued_messages 0");
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "inbox: {limit: 1MiB}"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  constexpr int sent = 1600;
  std::string lines;
  for (int n = 1; n <= sent; ++n) lines += "{\"n\":" + std::to_string(n) + ",\"x\":\"" + std::string(900, 'x') + "\"}\n";
  publish(broker, lines);
  REQUIRE(broker.wait_for_log("Client millrace-test-porch disconnected"));
  REQUIRE(stage.source->poll().has_value());
  REQUIRE(stage.source->next_tick().has_value());
  REQUIRE(host->wait_for_wake());
  auto drain = [&] {
    for (auto batch = stage.source->poll(); batch && !batch->empty(); batch = stage.source->poll()) {
      for (const Record& r : batch->records) stage.numbers.push_back(r.fields.find("n")->as_integer());
      batch->ack.settle();
    }
  };
  drain();
  CHECK(stage.numbers.size() < sent);
  host->time.set(host->time.now() + 2s);
  auto all = [&] { return std::set(stage.numbers.begin(), stage.numbers.end()).size() == sent; };
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (!all() && std::chrono::steady_clock::now() < deadline) {
    drain();
    host->wait_for_wake(100ms);
  }
  CHECK(all());
  CHECK(host->counter("unprotected").value() == 0);
}

TEST_CASE("what is not in the inbox does not overtake what is, nor what waits in it from an earlier life") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  auto received = [&](int number) {
    return broker.wait_for_log("Received PUBACK from millrace-test-porch (Mid: " + std::to_string(number) + ",");
  };
  {
    Stage former(host, options(broker));
    REQUIRE(broker.wait_for_log("Sending SUBACK"));
    publish_numbers(broker, 1, 5);
    REQUIRE(received(5));
  }
  host->time.set(host->time.now() + 1s);
  Stage stage(host, options(broker));
  publish_numbers(broker, 6, 800);
  REQUIRE(received(800));
  host->time.set(host->time.now() + 1s);
  publish_numbers(broker, 801, 802, 0);
  REQUIRE(broker.wait_for_log("(d0, q0, r0, m0, 'devices/a/messages/events/', ... (9 bytes))"));
  publish_numbers(broker, 803, 803);
  REQUIRE(received(801));  // those of QoS 0 have no number
  REQUIRE(stage.receive(803));
  CHECK(stage.numbers == upto(803));
}

TEST_CASE("a message too large with its topic for the inbox does not keep the source from receiving") {
  Mosquitto broker;
  auto host = TestHost::make("porch");
  Stage stage(host, options(broker, "inbox: {limit: 1MiB}\npayload_limit: 512KiB"));
  REQUIRE(broker.wait_for_log("Sending SUBACK"));
  publish(broker, std::string(512 << 10, 'x') + "\n{\"n\":2}\n");
  REQUIRE(stage.receive(1));
  CHECK(host->rejects.size() == 1);
  CHECK(host->counter("unprotected").value() == 0);
}

}  // namespace
