// Clients that do not keep up, and more than can be taken.
#include <malloc.h>

#include <array>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "plugins/signalr/signalr_test_hub.h"

using namespace millrace;
using namespace millrace::signalr;
using namespace millrace::signalr::test;

namespace {

HubOptions small_queue() {
  HubOptions options;
  options.client_queue = 8U << 10U;
  options.client_timeout = std::chrono::minutes(10);  // for clients that answer no ping, however slow the machine
  return options;
}

using Reading = std::initializer_list<std::pair<std::string_view, std::int64_t>>;

std::shared_ptr<const Publication> reading_of(std::string_view device, Reading fields, std::string_view target = "telemetry") {
  Batch batch;
  Record& record = batch.append();
  record.device = device;
  for (const auto& [name, value] : fields) record.fields.push(batch.arena(), name, Value::integer(value));
  return std::make_shared<const Publication>(batch, target);
}

/// What somebody knows of a device's fields who applies every record in the order in which it comes.
nlohmann::json applied(std::string_view received, std::string_view device) {
  std::string begin = R"({"device":")" + std::string(device) + R"(","time":0,"fields":)";
  nlohmann::json known = nlohmann::json::object();
  for (auto at = received.find(begin); at != std::string::npos; at = received.find(begin, at + 1)) {
    at += begin.size();
    known.update(nlohmann::json::parse(received.substr(at, received.find('}', at) + 1 - at)));
  }
  return known;
}

/// Publishes long records until what waits for somebody is conflated; returns how many.
std::int64_t stall(LiveHub& server) {
  std::int64_t sent = 0;
  while (server.counters().conflated.value() < 1000) {
    server.publish("filler" + std::string(200, 'f'), ++sent);
    server.settle();
    REQUIRE(sent < 1'000'000);
  }
  return sent;
}

}  // namespace

TEST_CASE("a client that does not read costs its queue, slows nobody, and gets the newest when it reads") {
  LiveHub server(small_queue());
  HubClient slow(server, 4096), quick(server);
  const HubCounters& counters = server.counters();
  std::string padding(200, 'p');
  std::int64_t last = 0;
  while (counters.conflated.value() < 1000) {
    server.publish("a", ++last);
    server.publish("b" + padding, last);
    server.settle();
    quick.received().clear();
  }
  server.publish("a", 1'000'000);
  REQUIRE(quick.read_until(value_of("a", 1'000'000)));
  CHECK(counters.ended_slow.value() == 0);
  REQUIRE(slow.read_until(value_of("a", 1'000'000)));
  REQUIRE(slow.read_until(value_of("b" + padding, last)));
  CHECK(slow.count("\"device\":\"a\"") < static_cast<std::size_t>(last) / 2);
  CHECK(slow.count(value_of("a", 1'000'000)) == 1);
  server.publish("a", 1'000'001);
  CHECK(slow.read_until(value_of("a", 1'000'001)));
}

TEST_CASE("slow_client: disconnect sends a client away that does not read, to come again") {
  HubOptions options = small_queue();
  options.slow_client = SlowClient::disconnect;
  options.close_timeout = std::chrono::minutes(10);
  LiveHub server(options);
  HubClient slow(server, 4096), quick(server);
  std::string device = "a" + std::string(200, 'a');
  std::int64_t sent = 0;
  auto present = [&] {
    std::size_t count = 0;
    server.on_loop([&] { count = server.hub().present().size(); });
    return count;
  };
  while (present() == 2) {
    server.publish(device, ++sent);
    REQUIRE(quick.read_until(value_of(device, sent)));
    quick.received().clear();
    REQUIRE(sent < 1'000'000);
  }
  CHECK(server.counters().conflated.value() == 0);
  CHECK(server.counters().dropped.value() == 0);
  REQUIRE(slow.read_until(R"({"type":7,"error":"The client does not read fast enough.","allowReconnect":true})"));
  slow.send(client_frame(0x88, "\x03\xE8"));
  CHECK(slow.read_to_end());
  slow.end_writing();
  server.wait_for_clients(1);
  CHECK(server.counters().ended_slow.value() == 1);
  server.publish("b", 1);
  CHECK(quick.read_until(value_of("b", 1)));
}

TEST_CASE("slow_client: drop_oldest loses what has waited longest, counts it, and keeps the rest in order") {
  HubOptions options = small_queue();
  options.slow_client = SlowClient::drop_oldest;
  LiveHub server(options);
  HubClient slow(server, 4096);
  std::string device = "a" + std::string(200, 'a');
  std::int64_t sent = 0;
  while (server.counters().dropped.value() < 1000) {
    server.publish(device, ++sent);
    server.settle();
    REQUIRE(sent < 1'000'000);
  }
  REQUIRE(slow.read_until(value_of(device, sent)));
  CHECK(server.counters().conflated.value() == 0);
  CHECK(server.counters().ended_slow.value() == 0);
  std::size_t got = 0, at = 0;
  for (std::int64_t value = 1; value <= sent; ++value) {
    auto found = slow.received().find(value_of(device, value), at);
    if (found == std::string::npos) continue;
    at = found;
    ++got;
  }
  CHECK(slow.count(R"("device":")") == got);
  CHECK(got + server.counters().dropped.value() == static_cast<std::size_t>(sent));
}

TEST_CASE("alerts are never conflated: a client with no room for them is sent away to come again") {
  HubOptions options = small_queue();
  options.close_timeout = HubOptions::Time(100);
  LiveHub server(options);
  HubClient slow(server, 4096);
  const HubCounters& counters = server.counters();
  std::int64_t sent = 0;
  while (counters.ended_slow.value() == 0) {
    server.publish("a", ++sent, "key" + std::string(500, 'k'));
    server.settle();
    REQUIRE(sent < 100'000);
  }
  CHECK(slow.read_to_end());
  std::int64_t seen = 0;
  while (slow.count("{\"v\":" + std::to_string(seen + 1) + ",") > 0) ++seen;
  CHECK(seen > 0);
  CHECK(slow.count("\"target\":\"alert\"") - static_cast<std::size_t>(seen) <= 1);  // no gap: at most one cut in two at the end
}

TEST_CASE("what waits for a stalled client adds up to the newest value of each field, and the holes show") {
  LiveHub server(small_queue());
  // These series exist before the others, so that it is not their places that put them in order.
  for (const Reading& fields : {Reading{{"t", 1}}, Reading{{"h", 1}}, Reading{{"t", 1}, {"h", 1}}})
    REQUIRE(server.hub().publish(reading_of("porch", fields)));
  server.settle();
  HubClient slow(server, 4096);
  std::int64_t fillers = stall(server);
  REQUIRE(server.hub().publish(reading_of("porch", {{"h", 20}})));
  REQUIRE(server.hub().publish(reading_of("porch", {{"t", 30}, {"h", 30}})));
  REQUIRE(server.hub().publish(reading_of("porch", {{"t", 40}})));
  REQUIRE(server.hub().publish(reading_of("porch", {{"t", 50}}, "other")));  // another target is a matter of its own
  REQUIRE(slow.read_until(R"("fields":{"t":50})"));
  REQUIRE(slow.read_until(R"("fields":{"t":40})"));
  REQUIRE(slow.read_until(value_of("filler" + std::string(200, 'f'), fillers)));
  CHECK(slow.count(R"("fields":{"t":50})") == 1);
  std::string telemetry = slow.received();
  for (auto at = telemetry.find(R"("target":"other")"); at != std::string::npos;) {
    telemetry.erase(at, telemetry.find('\x1e', at) - at);
    at = telemetry.find(R"("target":"other")");
  }
  CHECK(applied(telemetry, "porch") == nlohmann::json{{"t", 40}, {"h", 30}});
  CHECK(slow.count(R"("fields":{"t":40},"seq":2,)") == 1);
  CHECK(slow.count(value_of("filler" + std::string(200, 'f'), fillers) + std::to_string(fillers)) == 1);
  CHECK(slow.count(R"("device":"filler)") < static_cast<std::size_t>(fillers));
}

TEST_CASE("alerts and records of one turn reach every client whole and in order") {
  LiveHub server;
  HubClient first(server), second(server);
  std::array<HubClient*, 2> clients{&first, &second};
  constexpr std::int64_t turns = 50;
  for (std::int64_t turn = 1; turn <= turns; ++turn) {
    std::promise<void> go;
    server.listener.routes().loop()->post([wait = go.get_future().share()] { wait.wait(); });
    for (std::int64_t i = 1; i <= 3; ++i) server.publish("a", turn * 10 + i, "key");
    server.publish("b", turn);
    go.set_value();
    server.settle();
  }
  for (HubClient* client : clients) {
    REQUIRE(client->read_until(value_of("b", turns)));
    std::size_t at = 0;
    for (std::int64_t turn = 1; turn <= turns; ++turn) {
      for (std::int64_t i = 1; i <= 3; ++i) {
        at = client->received().find(R"({"v":)" + std::to_string(turn * 10 + i) + R"(,"key":"key"})", at);
        REQUIRE(at != std::string::npos);
      }
    }
    CHECK(client->count(R"("target":"alert")") == 3 * turns);
  }
}

TEST_CASE("more than the hand-over holds is refused whole, and taken again later") {
  LiveHub server;
  std::promise<void> go;
  server.listener.routes().loop()->post([wait = go.get_future().share()] { wait.wait(); });
  Batch batch;
  Record& record = batch.append();
  std::string big(1U << 20U, 'x');
  record.fields.push(batch.arena(), "x", Value::string(big));
  auto publication = std::make_shared<const Publication>(batch, "telemetry");
  int taken = 0;
  while (server.hub().publish(publication)) REQUIRE(++taken < 100);
  CHECK(taken >= 8);
  go.set_value();
  server.settle();
  server.settle();
  CHECK(server.hub().publish(publication));
}

TEST_CASE("a client may have four streams of records at a time, and more when one has ended") {
  LiveHub server;
  for (std::int64_t value = 1; value <= 100; ++value) server.publish("a", value);
  server.settle();
  HubClient client(server);
  auto history = [](int id) {
    return R"({"type":4,"invocationId":")" + std::to_string(id) + R"(","target":"History","arguments":["a"]})" + '\x1e';
  };
  std::string calls;
  for (int id = 1; id <= 5; ++id) calls += history(id);
  client.send(client_frame(0x81, calls));
  REQUIRE(client.read_until(R"({"type":3,"invocationId":"5","error":"Too many streams of records)"));
  for (int id = 1; id <= 4; ++id) {
    REQUIRE(client.read_until(R"({"type":3,"invocationId":")" + std::to_string(id) + "\"}"));
    CHECK(client.count(R"({"type":2,"invocationId":")" + std::to_string(id) + '"') == 100);
  }
  client.send(client_frame(0x81, history(6)));
  CHECK(client.read_until(R"({"type":3,"invocationId":"6"})"));
}

TEST_CASE("long records are streamed to a slow client as it reads them, and an alert among them finds room") {
  HubOptions options = small_queue();
  LiveHub server(options);
  std::string device = "a" + std::string(1000, 'a');
  for (std::int64_t value = 1; value <= 100; ++value) server.publish(device, value);
  server.settle();
  HubClient slow(server, 4096);
  slow.send(hub_message(R"({"type":4,"invocationId":"1","target":"History","arguments":[")" + device + R"("]})"));
  while (server.counters().invocations.value() == 0) server.settle();
  server.publish("b", 7, "b");
  server.settle();
  REQUIRE(slow.read_until(R"({"type":3,"invocationId":"1"})"));
  CHECK(slow.count(R"({"type":2,"invocationId":"1","item":{"device":")") == 100);
  CHECK(slow.read_until(R"({"v":7,"key":"b"})"));
  CHECK(server.counters().ended_slow.value() == 0);
}

TEST_CASE("who does not read what it has asked for holds on to nothing of the history, and hears of what went meanwhile") {
  HubOptions options = small_queue();
  options.history.bytes = 256U << 10U;
  LiveHub server(options);
  std::size_t before = mallinfo2().uordblks;
  std::string device = "a" + std::string(1000, 'a');
  auto fill = [&] {
    for (std::int64_t value = 1; value <= 200; ++value) server.publish(device, value);
    server.settle();
  };
  fill();
  std::vector<std::unique_ptr<HubClient>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(std::make_unique<HubClient>(server, 4096));
    slow.back()->send(hub_message(R"({"type":4,"invocationId":"1","target":"Recover","arguments":["",[]]})"));
    while (server.counters().invocations.value() <= static_cast<std::uint64_t>(i)) server.settle();
    fill();  // another history for each of them
  }
  // The history itself, and the queues: not twenty histories.
  CHECK(mallinfo2().uordblks < before + (2U << 20U));
  for (auto& client : slow) {
    REQUIRE(client->read_until(R"("recovered":false)"));
    CHECK(client->count(R"("gap":{"from":)") >= 2);  // before what is kept, and what has gone since
  }
  CHECK(server.counters().ended_slow.value() == 0);
}
