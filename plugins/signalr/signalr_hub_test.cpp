#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "plugins/signalr/signalr_test_hub.h"

using namespace millrace;
using namespace millrace::signalr;
using namespace millrace::signalr::test;
using Server = LiveHub;

namespace {

/// A SignalR client without manners.
struct Client : SocketClient {
  explicit Client(Server& server, int receive_buffer = 0) : SocketClient(server.port, receive_buffer) {
    send(upgrade(server.options.path));
    REQUIRE(read_until("\r\n\r\n"));
    received().clear();
  }

  void say(std::string_view message) { send(client_frame(0x81, std::string(message) + '\x1e')); }

  void shake_hands() {
    say(R"({"protocol":"json","version":1})");
    REQUIRE(read_until("{}\x1e"));
  }

  /// Waits for the answer to a call.
  void call(std::string_view id, std::string_view method, std::string_view arguments) {
    say(R"({"type":1,"invocationId":")" + std::string(id) + R"(","target":")" + std::string(method) + R"(","arguments":)" +
        std::string(arguments) + "}");
    REQUIRE(read_until(R"({"type":3,"invocationId":")" + std::string(id) + '"'));
  }

  bool got(std::string_view text) { return received().find(text) != std::string::npos; }

  std::size_t count(std::string_view text) {
    std::size_t n = 0;
    for (auto at = received().find(text); at != std::string::npos; at = received().find(text, at + 1)) ++n;
    return n;
  }
};

}  // namespace

TEST_CASE("negotiate hands out a token that one upgrade may use") {
  Server server;
  auto answer = http_exchange(server.port,
                              "POST /hubs/telemetry/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: a\r\nContent-Length: "
                              "0\r\nConnection: close\r\n\r\n");
  REQUIRE(status_of(answer) == 200);
  CHECK(answer.find("Content-Type: application/json\r\n") != std::string::npos);
  auto body = nlohmann::json::parse(body_of(answer));
  std::string token = body["connectionToken"];
  CHECK(body["connectionId"] != token);

  SocketClient first(server.port);
  first.send(upgrade("/hubs/telemetry?id=" + token));
  REQUIRE(first.read_until("101 Switching"));
  CHECK(status_of(http_exchange(server.port, upgrade("/hubs/telemetry?id=" + token, "Connection: close\r\n"))) == 409);
  CHECK(status_of(http_exchange(server.port, upgrade("/hubs/telemetry?id=guess", "Connection: close\r\n"))) == 404);
}

TEST_CASE("other methods and origins are refused on hub paths") {
  Server server;
  CHECK(status_of(http_exchange(server.port, http_get("/hubs/telemetry/negotiate"))) == 405);
  CHECK(status_of(http_exchange(server.port, http_get("/hubs/telemetry"))) == 400);
  CHECK(status_of(http_exchange(server.port, http_get("/hubs/telemetry?id=x"))) == 404);
  CHECK(status_of(http_exchange(server.port, "PUT /hubs/telemetry HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 405);
  for (auto path : {"/hubs/telemetry", "/hubs/telemetry/ws"})
    CHECK(status_of(http_exchange(server.port, upgrade(path, "Connection: close\r\nOrigin: http://evil.example\r\n"))) == 403);
  CHECK(server.hub().counters().clients.value() == 0);
}

TEST_CASE("handshake errors are told, then the connection closes normally") {
  Server server;
  Client client(server);
  client.say(R"({"protocol":"messageball","version":1})");
  REQUIRE(client.read_until("\x88\x02\x03\xE8"));
  CHECK(client.got("{\"error\":\"The protocol 'messageball' is not supported.\"}\x1e"));
  client.send(client_frame(0x88, "\x03\xE8"));
  CHECK(client.read_to_end());
}

TEST_CASE("a handshake that is too long or too late is cancelled") {
  HubOptions options;
  options.handshake_timeout = HubOptions::Time(50);
  Server server(options);
  Client late(server);
  CHECK(late.read_until("{\"error\":\"Handshake was canceled.\"}\x1e\x88\x02\x03\xE8"));
  Client long_one(server);
  long_one.send(client_frame(0x81, std::string(33000, 'x')));
  CHECK(long_one.read_until("Handshake was canceled."));
}

TEST_CASE("the first messages may share the handshake's frame, and a message may be cut anywhere") {
  Server server;
  Client client(server);
  std::string bytes =
      client_frame(0x81, "{\"protocol\":\"json\",\"version\":1}\x1e{\"type\":1,\"invocationId\":\"1\",\"target\":\"lat");
  bytes += client_frame(0x81, "EST\",\"arguments\":[]}\x1e");
  for (char c : bytes) client.send(std::string_view(&c, 1));
  REQUIRE(client.read_until("\"invocationId\":\"1\",\"result\":[]}\x1e"));
  CHECK(client.got("{}\x1e"));
}

TEST_CASE("without Subscribe a client gets everything, on joining the latest") {
  Server server;
  server.publish("a", 1);
  server.publish("b", 1);
  server.publish("a", 2);
  server.settle();
  Client client(server);
  client.shake_hands();
  REQUIRE(client.read_until(value_of("b", 1)));
  CHECK(client.got(value_of("a", 2)));
  CHECK_FALSE(client.got(value_of("a", 1)));
  CHECK(client.count("\"target\":\"telemetry\"") == 1);
  server.publish("a", 3);
  server.publish("x", 4, "x");
  REQUIRE(client.read_until(R"({"type":1,"target":"alert","arguments":[{"v":4,"key":"x"}]})"));
  CHECK(client.got(R"("target":"telemetry","arguments":[[)" + value_of("a", 3) + "3,\"epoch\":\""));
}

TEST_CASE("after Subscribe a client gets its devices and their alerts, each once") {
  Server server;
  server.publish("c", 1);
  Client client(server);
  client.shake_hands();
  REQUIRE(client.read_until(value_of("c", 1)));
  client.call("1", "subscribe", R"(["a",["device:key"]])");
  server.publish("b", 2);
  server.publish("a", 2);
  server.publish("a", 3, "key");
  server.publish("other", 4, "key");
  server.publish("other", 5, "else");
  server.publish("a", 6);
  REQUIRE(client.read_until(value_of("a", 6)));
  CHECK(client.got(value_of("a", 2)));
  CHECK_FALSE(client.got(value_of("b", 2)));
  CHECK(client.count(R"({"v":3,"key":"key"})") == 1);
  CHECK(client.count(R"({"v":4,"key":"key"})") == 1);
  CHECK_FALSE(client.got(R"({"v":5,"key":"else"})"));

  client.call("2", "Subscribe", R"(["c"])");
  client.call("3", "Unsubscribe", R"(["a","c","key"])");
  CHECK(client.count(value_of("c", 1)) == 2);  // once on joining, once as a newcomer to the group
  server.publish("a", 7);
  client.call("4", "Latest", R"(["a"])");
  CHECK(client.got("\"result\":[" + value_of("a", 7)));
  CHECK(client.count(value_of("a", 7)) == 1);
}

TEST_CASE("who is put into a group before it has shaken hands gets the group's latest when it has") {
  Server server;
  Batch batch;
  batch.append().device = "a";
  Outlet club{.target = "news", .to = Addressing{.reach = Reach::group, .name = TextTemplate::parse("club").value()}};
  REQUIRE(server.hub().publish(std::make_shared<const Publication>(batch, club)));
  Client client(server);
  server.on_loop([&] { server.hub().each([&](Connection& one) { server.hub().join(one, "club"); }); });
  server.settle();
  client.shake_hands();
  REQUIRE(client.read_until(R"("target":"news","arguments":[[{"device":"a",)"));
  client.call("1", "Latest", "[]");
  CHECK(client.count(R"("target":"news")") == 1);
}

TEST_CASE("wrong calls are answered with an error if an answer is wanted, else not at all") {
  Server server;
  Client client(server);
  client.shake_hands();
  client.say(R"({"type":1,"target":"Nonsense","arguments":[]})");
  client.call("1", "Nonsense", "[]");
  CHECK(client.got(R"({"type":3,"invocationId":"1","error":"Unknown hub method 'Nonsense'"})"));
  client.call("2", "Subscribe", "[]");
  CHECK(client.got(R"("invocationId":"2","error":"Expected device ids)"));
  client.call("3", "Subscribe", "[5]");
  CHECK(client.got(R"("invocationId":"3","error":"Expected device ids)"));
  client.say(R"({"type":4,"invocationId":"4","target":"Latest","arguments":[]})");
  CHECK(client.read_until("The client attempted to invoke the non-streaming 'Latest' method with a streaming invocation."));
  CHECK(client.count("\"type\":3") == 4);
}

TEST_CASE("what cannot be read ends the connection with a reason") {
  Server server;
  Client client(server);
  client.shake_hands();
  SECTION("malformed") {
    client.say("{\"type\":1}");
    CHECK(client.read_until(
        "{\"type\":7,\"error\":\"Connection closed with an error. Expected 'target' to be a text.\"}\x1e\x88\x02\x03\xE8"));
  }
  SECTION("a message beyond 32 KiB") {
    client.say(std::string(32769, 'x'));
    CHECK(
        client.read_until("{\"type\":7,\"error\":\"Connection closed with an error. The maximum message size of 32768B was "
                          "exceeded.\"}\x1e\x88\x02\x03\xF1"));
  }
  SECTION("a frame beyond any size") {
    client.send(std::string("\x81\xFF\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14));
    CHECK(client.read_until("The maximum message size of 32768B was exceeded.\"}\x1e\x88\x02\x03\xF1"));
  }
  SECTION("an unmasked frame") {
    client.send("\x81\x01x");
    CHECK(client.read_until("\x88\x02\x03\xEA"));
  }
  SECTION("invalid UTF-8") {
    client.send(client_frame(0x81, "\xFF"));
    CHECK(client.read_until("\x88\x02\x03\xEF"));
  }
  SECTION("an empty Close") {
    client.send(client_frame(0x88, ""));
    CHECK(client.read_until("\x88\x02\x03\xE8"));
  }
}

TEST_CASE("a ping is answered with a pong, and silence with pings") {
  HubOptions options;
  options.keep_alive = HubOptions::Time(20);
  Server server(options);
  Client client(server);
  client.shake_hands();
  client.send(client_frame(0x89, "hey"));
  CHECK(client.read_until("\x8A\x03hey"));
  CHECK(client.read_until("{\"type\":6}\x1e"));
  SocketClient plain(server.port);
  plain.send(upgrade("/hubs/telemetry/ws"));
  CHECK(plain.read_until(std::string("\x89\x00", 2)));
}

TEST_CASE("a client that has pinged and falls silent is told to come again") {
  HubOptions options;
  options.client_timeout = HubOptions::Time(40);
  options.close_timeout = HubOptions::Time(40);
  Server server(options);
  Client client(server);
  client.shake_hands();
  client.say(R"({"type":6})");
  CHECK(client.read_until("\"allowReconnect\":true}\x1e\x88\x02\x03\xE8"));
  CHECK(client.read_to_end());  // though it never answered the Close frame
}

TEST_CASE("a plain WebSocket gets JSON lines, of the devices it names") {
  Server server;
  server.publish("a", 1);
  server.publish("b", 1);
  SocketClient one(server.port), all(server.port);
  all.send(upgrade("/hubs/telemetry/ws"));
  one.send(upgrade("/hubs/telemetry/ws?device=b&device=c"));
  REQUIRE(one.read_until("{\"target\":\"telemetry\",\"device\":\"b\",\"time\":0,\"fields\":{\"v\":1},\"seq\":1,\"epoch\":\""));
  REQUIRE(all.read_until("\"b\""));
  REQUIRE(all.read_until("\"a\""));
  server.publish("a", 2, "c");
  server.publish("a", 3, "a");
  server.publish("c", 4);
  REQUIRE(one.read_until("{\"v\":4},\"seq\":1,"));
  CHECK(one.received().find("{\"target\":\"alert\",\"v\":2,\"key\":\"c\"}\n") != std::string::npos);
  CHECK(one.received().find("\"a\"") == std::string::npos);
  REQUIRE(all.read_until("{\"v\":4},\"seq\":1,"));
  CHECK(all.received().find("{\"target\":\"alert\",\"v\":3,\"key\":\"a\"}\n") != std::string::npos);
}

TEST_CASE("stages share a hub, differing options do not, and the last to go sends the clients away") {
  Server server;
  auto second = server.attach("second", server.options).value();
  CHECK(&second->hub() == &server.hub());
  auto other = server.options;
  other.client_queue = 1U << 20U;
  CHECK(server.attach("third", other).error().what.find("'live' and 'third' share the hub") != std::string::npos);
  CHECK(server.attach("live", server.options, "elsewhere").error().what.find("belongs to the pipeline 'p'") !=
        std::string::npos);

  Client client(server);
  client.shake_hands();
  server.attachment.reset();
  second->hub().publish(std::make_shared<const Publication>(Batch{}, "t"));
  client.call("1", "Latest", "[]");
  second.reset();
  CHECK(client.read_until("{\"type\":7,\"allowReconnect\":true}\x1e\x88\x02\x03\xE8"));
  CHECK(status_of(http_exchange(server.port, http_get("/hubs/telemetry"))) == 404);
}

TEST_CASE("a stage that comes back with other options replaces its hub on the same path") {
  Server server;
  Client client(server);
  client.shake_hands();
  auto changed = server.options;
  changed.max_connections = 1;
  auto attachment = server.attach("live", changed).value();
  CHECK(client.read_until("\"allowReconnect\":true"));
  server.attachment = std::move(attachment);
  Client again(server);
  again.shake_hands();
  CHECK(status_of(http_exchange(server.port, upgrade("/hubs/telemetry", "Connection: close\r\n"))) == 503);
}

TEST_CASE("connections opened and dropped leave nothing behind") {
  Server server;
  for (int round = 0; round < 200; ++round) {
    SocketClient client(server.port);
    client.send(upgrade("/hubs/telemetry") + client_frame(0x81, "{\"protocol\":\"json\",\"version\":1}\x1e"));
    server.publish("a", round);
  }
  const HubCounters& counters = server.hub().counters();
  const http::ListenerCounters& listener = server.listener.counters();
  while (listener.accepted.value() < 200 || listener.connections.value() > 0) server.settle();
  server.settle();
  CHECK(counters.clients.value() == 0);
  Client client(server);
  client.shake_hands();
  CHECK(client.read_until(value_of("a", 199)));
}

TEST_CASE("what was still gathering when a hub ends goes out before it closes its clients") {
  LiveHub server({.flush = 1h});
  HubClient client(server);
  server.publish("a", 7);
  server.hub().retire();
  REQUIRE(client.read_until(value_of("a", 7)));
  CHECK(server.counters().records.value() == 1);
}
