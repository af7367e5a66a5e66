#include <catch2/catch.hpp>

#include <future>
#include <nlohmann/json.hpp>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/methods.h"
#include "runner/http/listener.h"
#include "tests/support/socket_client.h"

using namespace millrace;
using namespace millrace::signalr;
using test::client_frame;
using test::SocketClient;

namespace {

/// A listener with a hub, and a stage's hold on it.
struct Server {
  explicit Server(HubOptions with = {}) : options(std::move(with)) {
    if (options.plain.empty()) options.plain = options.path + "/ws";
    port = listener.start().value();
    attachment = attach("live", options).value();
  }
  ~Server() {
    attachment.reset();
    listener.stop();
  }

  Result<std::unique_ptr<Attachment>> attach(const std::string& stage, const HubOptions& with,
                                             const std::string& pipeline = "p") {
    return Attachment::attach(listener.routes(), with, pipeline, stage, add_telemetry_methods);
  }

  /// Publishes one record: telemetry of a device, or an alert if it has a key.
  void publish(std::string_view device, std::int64_t value, std::string_view key = {}) {
    Batch batch;
    Record& record = batch.append();
    record.device = device;
    record.fields.push(batch.arena(), "v", Value::integer(value));
    if (!key.empty()) {
      record.kind = kind::alert;
      record.fields.push(batch.arena(), "key", Value::string(key));
    }
    REQUIRE(attachment->hub().publish(std::make_shared<const Publication>(batch, "telemetry")));
  }

  /// Waits until the hub has done everything that was asked of it.
  void settle() {
    std::promise<void> done;
    listener.routes().loop()->post([&] { done.set_value(); });
    done.get_future().get();
  }

  http::Listener listener{{.address = {.port = 0}}};
  HubOptions options;
  std::uint16_t port = 0;
  std::unique_ptr<Attachment> attachment;
};

std::string upgrade(std::string_view target, std::string_view headers = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(headers) + "\r\n";
}

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

std::string value_of(std::string_view device, std::int64_t value) {
  return R"({"device":")" + std::string(device) + R"(","time":0,"fields":{"v":)" + std::to_string(value) + "},\"seq\":";
}

}  // namespace

TEST_CASE("negotiate hands out a token that one upgrade may use") {
  Server server;
  auto answer = test::http_exchange(server.port,
                                    "POST /hubs/telemetry/negotiate?negotiateVersion=1 HTTP/1.1\r\nHost: a\r\nContent-Length: "
                                    "0\r\nConnection: close\r\n\r\n");
  REQUIRE(test::status_of(answer) == 200);
  CHECK(answer.find("Content-Type: application/json\r\n") != std::string::npos);
  auto body = nlohmann::json::parse(test::body_of(answer));
  std::string token = body["connectionToken"];
  CHECK(body["connectionId"] != token);

  SocketClient first(server.port);
  first.send(upgrade("/hubs/telemetry?id=" + token));
  REQUIRE(first.read_until("101 Switching"));
  CHECK(test::status_of(test::http_exchange(server.port, upgrade("/hubs/telemetry?id=" + token, "Connection: close\r\n"))) ==
        409);
  CHECK(test::status_of(test::http_exchange(server.port, upgrade("/hubs/telemetry?id=guess", "Connection: close\r\n"))) == 404);
}

TEST_CASE("other methods and origins are refused on hub paths") {
  Server server;
  CHECK(test::status_of(test::http_exchange(server.port, test::http_get("/hubs/telemetry/negotiate"))) == 405);
  CHECK(test::status_of(test::http_exchange(server.port, test::http_get("/hubs/telemetry"))) == 400);
  CHECK(test::status_of(test::http_exchange(server.port, test::http_get("/hubs/telemetry?id=x"))) == 404);
  CHECK(test::status_of(
            test::http_exchange(server.port, "PUT /hubs/telemetry HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 405);
  for (auto path : {"/hubs/telemetry", "/hubs/telemetry/ws"})
    CHECK(test::status_of(
              test::http_exchange(server.port, upgrade(path, "Connection: close\r\nOrigin: http://evil.example\r\n"))) == 403);
  CHECK(server.attachment->hub().counters().clients.value() == 0);
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

TEST_CASE("a client that does not read costs its queue, slows nobody, and gets the newest when it reads") {
  HubOptions options;
  options.client_queue = 8U << 10U;
  Server server(options);
  Client slow(server, 4096), quick(server);
  slow.shake_hands();
  quick.shake_hands();
  const HubCounters& counters = server.attachment->hub().counters();
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

TEST_CASE("alerts are never conflated: a client with no room for them is sent away to come again") {
  HubOptions options;
  options.client_queue = 8U << 10U;
  options.close_timeout = HubOptions::Time(100);
  Server server(options);
  Client slow(server, 4096);
  slow.shake_hands();
  const HubCounters& counters = server.attachment->hub().counters();
  std::int64_t sent = 0;
  while (counters.ended_slow.value() == 0) {
    server.publish("a", ++sent, "key" + std::string(500, 'k'));
    server.settle();
    REQUIRE(sent < 100'000);
  }
  CHECK(slow.read_to_end());
  std::int64_t seen = 0;
  while (slow.got("{\"v\":" + std::to_string(seen + 1) + ",")) ++seen;
  CHECK(seen > 0);
  CHECK(slow.count("\"target\":\"alert\"") - static_cast<std::size_t>(seen) <= 1);  // no gap: at most one cut in two at the end
}

TEST_CASE("stages share a hub, differing options do not, and the last to go sends the clients away") {
  Server server;
  auto second = server.attach("second", server.options).value();
  CHECK(&second->hub() == &server.attachment->hub());
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
  CHECK(test::status_of(test::http_exchange(server.port, test::http_get("/hubs/telemetry"))) == 404);
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
  CHECK(test::status_of(test::http_exchange(server.port, upgrade("/hubs/telemetry", "Connection: close\r\n"))) == 503);
}

TEST_CASE("connections opened and dropped leave nothing behind") {
  Server server;
  for (int round = 0; round < 200; ++round) {
    SocketClient client(server.port);
    client.send(upgrade("/hubs/telemetry") + client_frame(0x81, "{\"protocol\":\"json\",\"version\":1}\x1e"));
    server.publish("a", round);
  }
  const HubCounters& counters = server.attachment->hub().counters();
  const http::ListenerCounters& listener = server.listener.counters();
  while (listener.accepted.value() < 200 || listener.connections.value() > 0) server.settle();
  server.settle();
  CHECK(counters.clients.value() == 0);
  Client client(server);
  client.shake_hands();
  CHECK(client.read_until(value_of("a", 199)));
}

TEST_CASE("more than the hand-over holds is refused whole, and taken again later") {
  Server server;
  std::promise<void> go;
  server.listener.routes().loop()->post([wait = go.get_future().share()] { wait.wait(); });
  Batch batch;
  Record& record = batch.append();
  std::string big(1U << 20U, 'x');
  record.fields.push(batch.arena(), "x", Value::string(big));
  auto publication = std::make_shared<const Publication>(batch, "telemetry");
  int taken = 0;
  while (server.attachment->hub().publish(publication)) REQUIRE(++taken < 100);
  CHECK(taken >= 8);
  go.set_value();
  server.settle();
  server.settle();
  CHECK(server.attachment->hub().publish(publication));
}
