#include <malloc.h>

#include <optional>
#include <thread>
#include <vector>

#include "plugins/signalr/signalr_test_hub.h"

using namespace millrace;
using namespace millrace::signalr;
using namespace millrace::signalr::test;

namespace {

std::size_t allocated() { return mallinfo2().uordblks; }

/// The values of a device that a client has got, in order.
std::vector<std::int64_t> values_of(const std::string& received, const std::string& device) {
  std::string before = R"({"device":")" + device + R"(","time":0,"fields":{"v":)";
  std::vector<std::int64_t> values;
  for (auto at = received.find(before); at != std::string::npos; at = received.find(before, at + 1))
    values.push_back(std::stoll(received.substr(at + before.size(), 20)));
  return values;
}

std::vector<std::int64_t> up_to(std::int64_t last) {
  std::vector<std::int64_t> values;
  for (std::int64_t value = 1; value <= last; ++value) values.push_back(value);
  return values;
}

/// For clients that answer no ping, however slow the machine.
HubOptions patient() {
  HubOptions options;
  options.client_timeout = std::chrono::minutes(10);
  return options;
}

}  // namespace

TEST_CASE("five thousand clients get everything while one that does not read costs its queue") {
  LiveHub server(patient());
  HubClient slow(server, 4096), quick(server);
  for (HubClient* one : {&slow, &quick}) {
    one->send(call("1", "Subscribe", R"(["big","small"])"));
    REQUIRE(one->read_until(R"({"type":3,"invocationId":"1")"));
  }
  std::vector<std::unique_ptr<HubClient>> others;
  for (int i = 0; i < 5000; ++i) {
    others.push_back(std::make_unique<HubClient>(server));
    others.back()->send(call("1", "Subscribe", R"(["small"])"));
  }
  for (auto& other : others) REQUIRE(other->read_until(R"({"type":3,"invocationId":"1")"));
  CHECK(server.counters().clients.value() == 5002);

  // Big records go to two clients, of which one does not read; small ones to all.
  std::string big = "big";
  std::int64_t sent = 0;
  while (server.counters().conflated.value() < 1000) {
    for (int i = 0; i < 100; ++i) server.publish(big, ++sent);
    server.settle();
    REQUIRE(quick.read_until(value_of(big, sent)));
    quick.received().clear();
    REQUIRE(sent < 1'000'000);
  }
  for (std::int64_t value = 1; value <= 5; ++value) {
    server.publish("small", value);
    server.settle();
  }
  std::size_t fullest = 0;
  server.on_loop([&] { server.hub().each([&](Connection& one) { fullest = std::max(fullest, one.queue().bytes()); }); });
  CHECK(fullest > 32U << 10U);
  CHECK(fullest <= 64U << 10U);

  int complete = 0;
  for (auto& other : others)
    if (other->read_until(value_of("small", 5)) && values_of(other->received(), "small") == up_to(5)) ++complete;
  CHECK(complete == 5000);
  CHECK(server.counters().ended_slow.value() == 0);
  REQUIRE(slow.read_until(value_of(big, sent)));
  REQUIRE(slow.read_until(value_of("small", 5)));
  CHECK(slow.count(value_of(big, sent)) == 1);
  CHECK(values_of(slow.received(), big).size() < static_cast<std::size_t>(sent));
}

TEST_CASE("ten thousand connections opened and dropped leave no gap for others and no memory behind") {
  constexpr std::size_t at_once = 500;  // which are dropped together, every other one with a reset
  LiveHub server(patient());
  std::vector<std::unique_ptr<HubClient>> watchers;
  for (int i = 0; i < 20; ++i) watchers.push_back(std::make_unique<HubClient>(server));
  std::int64_t value = 0;
  std::uint64_t opened = watchers.size();
  std::vector<std::unique_ptr<SocketClient>> together;
  auto storm = [&](int connections) {
    for (int i = 0; i < connections; ++i) {
      together.push_back(std::make_unique<SocketClient>(server.port));
      SocketClient& client = *together.back();
      if (i % 5 == 1) client.send("GET /hubs/telemetry HTTP/1.1\r\nHost:");
      if (i % 5 == 2) client.send(upgrade("/hubs/telemetry"));
      if (i % 5 == 3) client.send(upgrade("/hubs/telemetry") + handshake());
      if (i % 5 == 4) client.send(upgrade("/hubs/telemetry") + handshake() + call("1", "Latest", "[]").substr(0, 20));
      if (i % 50 == 0) server.publish("a", ++value);
      if (together.size() < at_once) continue;
      for (std::size_t one = 0; one < together.size(); one += 2) together[one]->reset();
      together.clear();
    }
    opened += static_cast<std::uint64_t>(connections);
    const http::ListenerCounters& counters = server.listener.counters();
    while (counters.accepted.value() < opened || counters.connections.value() > watchers.size()) server.settle();
    server.settle();
  };
  storm(1000);  // what grows once, such as tables, has grown
  std::size_t before = allocated();
  storm(10'000);
  CHECK(server.counters().clients.value() == watchers.size());
  CHECK(allocated() < before + (1U << 20U));
  for (auto& watcher : watchers) {
    REQUIRE(watcher->read_until(value_of("a", value)));
    CHECK(values_of(watcher->received(), "a") == up_to(value));
  }
}

TEST_CASE("a client that has gone without a word is found by a ping that it does not answer") {
  HubOptions options;
  options.client_timeout = HubOptions::Time(80);
  options.close_timeout = HubOptions::Time(40);
  LiveHub server(options);
  HubClient silent(server);  // speaks the hub protocol, but sends no ping of its own
  REQUIRE(silent.read_until(std::string("\x89\x00", 2)));
  server.wait_for_clients(0);
  CHECK(server.counters().ended_timeout.value() == 1);
}

TEST_CASE("a client that says nothing but answers pings stays") {
  HubOptions options;
  options.client_timeout = std::chrono::seconds(4);  // long against what a busy machine delays an answer by
  LiveHub server(options);
  HubClient answering(server);
  for (int i = 0; i < 4; ++i) {  // each half a time-out after the last answer
    REQUIRE(answering.read_until(std::string("\x89\x00", 2)));
    answering.received().clear();
    answering.send(client_frame(0x8A, ""));
  }
  server.settle();
  CHECK(server.counters().clients.value() == 1);
  CHECK(server.counters().ended_timeout.value() == 0);
}

TEST_CASE("a flood of calls is held back without loss, and others are served meanwhile") {
  HubOptions options;
  options.message_rate = 500;
  options.keep_alive = HubOptions::Time(200);  // so that the clocks are looked at each 50 ms
  LiveHub server(options);
  HubClient flood(server), other(server);
  constexpr int calls = 1500;
  std::jthread flooding([&] {
    for (int i = 1; i <= calls; ++i) flood.send(call(std::to_string(i), "Latest", "[]"));
  });
  while (server.counters().held.value() == 0) server.settle();
  other.send(call("1", "Latest", "[]"));
  CHECK(other.read_until(R"({"type":3,"invocationId":"1","result":[]})"));
  CHECK(flood.read_until(R"({"type":3,"invocationId":")" + std::to_string(calls) + '"'));
  CHECK(flood.count(R"("type":3)") == calls);
  CHECK(server.counters().held.value() > 1);
  CHECK(server.counters().clients.value() == 2);
}

TEST_CASE("a client is not silent while what it has said waits because it came too fast") {
  HubOptions options;
  options.message_rate = 1;
  options.client_timeout = std::chrono::minutes(10);
  LiveHub server(options);
  HubClient client(server);  // whose handshake was a message
  std::string pings;
  for (int i = 0; i < 3; ++i) pings += "{\"type\":6}\x1e";
  client.send(client_frame(0x81, pings));
  while (server.counters().held.value() == 0) server.settle();
  std::vector<bool> gone;
  server.on_loop([&] {
    auto now = http::Loop::Clock::now();
    server.hub().each([&](Connection& one) {
      for (int i = 0; i < 4; ++i) {
        one.tick(now += options.client_timeout);
        gone.push_back(one.gone());
      }
    });
  });
  CHECK(gone == std::vector<bool>{false, false, false, true});
}

TEST_CASE("a message in fragments, with pings between them, is one message") {
  LiveHub server;
  HubClient client(server);
  std::string text = "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Latest\",\"arguments\":[]}\x1e";
  client.send(client_frame(0x01, text.substr(0, 10)));
  client.send(client_frame(0x89, "between"));
  client.send(client_frame(0x00, text.substr(10, 10)) + client_frame(0x80, text.substr(20)));
  CHECK(client.read_until(R"({"type":3,"invocationId":"1","result":[]})"));
  CHECK(client.count("\x8A\x07"
                     "between") == 1);
}

TEST_CASE("frames against the rules end their connection alone") {
  LiveHub server;
  HubClient good(server);
  std::string too_long("\x81\xFF\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00", 14);  // 16 MiB to come
  std::vector<std::string> bad{
      "\x81\x05hello",                                          // not masked
      client_frame(0xC1, "x"),                                  // a reserved bit
      client_frame(0x83, "x"),                                  // an opcode that does not exist
      client_frame(0x80, "x"),                                  // a continuation of nothing
      client_frame(0x01, "x") + client_frame(0x81, "y"),        // a message within a message
      client_frame(0x09, "x"),                                  // a control frame in fragments
      client_frame(0x89, std::string(126, 'x')),                // a control frame that is too long
      client_frame(0x81, "\xC3\x28"),                           // not UTF-8
      client_frame(0x01, "\xE2\x82") + client_frame(0x80, ""),  // cut in a character
      client_frame(0x88, "\x03"),                               // half a close code
      too_long,
  };
  for (const std::string& bytes : bad) {
    HubClient client(server);
    client.send(bytes);
    REQUIRE(client.read_until("\x88"));
    client.end_writing();
    CHECK(client.read_to_end());
  }
  server.wait_for_clients(1);
  good.send(call("1", "Latest", "[]"));
  CHECK(good.read_until(R"({"type":3,"invocationId":"1","result":[]})"));
}
