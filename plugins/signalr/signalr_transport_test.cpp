#include <catch2/catch.hpp>

#include <atomic>
#include <future>
#include <nlohmann/json.hpp>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/methods.h"
#include "runner/http/listener.h"
#include "tests/support/socket_client.h"

using namespace millrace;
using namespace millrace::signalr;
using test::body_of;
using test::SocketClient;
using test::status_of;

namespace {

constexpr std::string_view handshake = "{\"protocol\":\"json\",\"version\":1}\x1e";
constexpr std::string_view events = "Accept: text/event-stream\r\n";

/// A hub, and requests to it.
struct Server {
  explicit Server(HubOptions options = {}, const HubDirectory::Prepare& prepare = add_telemetry_methods) {
    port = listener.start().value();
    attachment = Attachment::attach(listener.routes(), options, "p", "live", prepare).value();
  }
  ~Server() {
    attachment.reset();
    listener.stop();
  }

  std::string ask(std::string_view method, std::string_view query, std::string_view body = {}, std::string_view headers = {}) {
    return test::http_exchange(port, request(method, query, body, std::string(headers) + "Connection: close\r\n"));
  }

  static std::string request(std::string_view method, std::string_view query, std::string_view body = {},
                             std::string_view headers = {}) {
    return std::string(method) + " /hubs/telemetry" + std::string(query) + " HTTP/1.1\r\nHost: 127.0.0.1\r\n" +
           std::string(headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }

  /// The query of a new connection.
  std::string negotiated() {
    auto answer = ask("POST", "/negotiate?negotiateVersion=1");
    REQUIRE(status_of(answer) == 200);
    return "?id=" + nlohmann::json::parse(body_of(answer))["connectionToken"].get<std::string>();
  }

  /// A Long Polling connection that has shaken hands.
  std::string polling() {
    auto query = negotiated();
    REQUIRE(status_of(ask("GET", query)) == 200);
    REQUIRE(status_of(ask("POST", query, handshake)) == 200);
    REQUIRE(body_of(ask("GET", query)) == "{}\x1e");
    return query;
  }

  /// Waits until no client is left, which must come by itself.
  bool empties() {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (attachment->hub().counters().clients.value() > 0 && std::chrono::steady_clock::now() < until)
      status_of(ask("GET", ""));
    return attachment->hub().counters().clients.value() == 0;
  }

  http::Listener listener{{.address = {.port = 0}}};
  std::uint16_t port = 0;
  std::unique_ptr<Attachment> attachment;
};

bool has(std::string_view answer, std::string_view text) { return answer.find(text) != std::string_view::npos; }

}  // namespace

TEST_CASE("long polling: the first poll is answered at once with nothing, the next ones with what there is") {
  Server server;
  auto query = server.negotiated();
  auto first = server.ask("GET", query + "&_=123");
  CHECK(status_of(first) == 200);
  CHECK(body_of(first).empty());
  CHECK(has(first, "Content-Length: 0\r\n"));
  auto posted = server.ask(
      "POST", query, std::string(handshake) + "{\"type\":1,\"invocationId\":\"1\",\"target\":\"Latest\",\"arguments\":[]}\x1e");
  CHECK(status_of(posted) == 200);
  CHECK(has(posted, "Content-Type: text/plain\r\n"));
  CHECK(body_of(posted).empty());
  auto second = server.ask("GET", query);
  CHECK(status_of(second) == 200);
  CHECK(body_of(second) == "{}\x1e{\"type\":3,\"invocationId\":\"1\",\"result\":[]}\x1e");
  CHECK(has(second, "Content-Type: application/octet-stream\r\n"));
  CHECK(has(second, "Cache-Control: no-cache, no-store\r\n"));
  CHECK(has(second, "Pragma: no-cache\r\n"));
  CHECK(has(second, "Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
}

TEST_CASE("long polling: a poll waits for something to say, and a second one ends it") {
  Server server;
  auto query = server.polling();
  SocketClient first(server.port);
  first.send(server.request("GET", query));
  SocketClient second(server.port);
  second.send(server.request("GET", query));
  CHECK(first.read_until("204 No Content"));
  auto call = "{\"type\":1,\"invocationId\":\"7\",\"target\":\"Latest\",\"arguments\":[]}\x1e";
  REQUIRE(status_of(server.ask("POST", query, call)) == 200);
  CHECK(second.read_until("\"invocationId\":\"7\",\"result\":[]}\x1e"));
  CHECK(status_of(second.received()) == 200);
}

TEST_CASE("long polling: DELETE ends the connection") {
  Server server;
  auto query = server.polling();
  SocketClient waiting(server.port);
  waiting.send(server.request("GET", query));
  CHECK(status_of(server.ask("DELETE", query)) == 202);
  CHECK(waiting.read_until("204 No Content"));
  CHECK(server.empties());
  CHECK(status_of(server.ask("GET", query)) == 404);
  CHECK(status_of(server.ask("POST", query, "x")) == 404);
  CHECK(status_of(server.ask("DELETE", query)) == 404);
}

TEST_CASE("long polling: a connection that the server closes says so, then ends with 204") {
  Server server;
  auto query = server.polling();
  CHECK(status_of(server.ask("POST", query, "nonsense\x1e")) == 200);
  auto last = server.ask("GET", query);
  CHECK(body_of(last) == "{\"type\":7,\"error\":\"Connection closed with an error. A message is not a JSON object.\"}\x1e");
  CHECK(status_of(server.ask("GET", query)) == 204);
  CHECK(status_of(server.ask("GET", query)) == 404);
}

TEST_CASE("long polling: a client that is sent away between two polls is told by the next, and can do nothing else") {
  Server server;
  auto query = server.polling();
  std::promise<void> expelled;
  server.listener.routes().loop()->post([&] {
    Hub& hub = server.attachment->hub();
    for (const auto& client : hub.audience({.reach = Reach::all})) hub.expel(*client, "Go home.");
    expelled.set_value();
  });
  expelled.get_future().get();
  CHECK(status_of(server.ask("POST", query, "{\"type\":6}\x1e")) == 404);
  CHECK(body_of(server.ask("GET", query)) == "{\"type\":7,\"error\":\"Go home.\"}\x1e");
  CHECK(status_of(server.ask("GET", query)) == 204);
  CHECK(status_of(server.ask("GET", query)) == 404);
}

TEST_CASE("long polling: an idle poll is answered with nothing") {
  Server server({.poll_timeout = HubOptions::Time(40)});
  auto query = server.polling();
  auto idle = server.ask("GET", query);
  CHECK(status_of(idle) == 200);
  CHECK(body_of(idle).empty());
}

TEST_CASE("long polling: a client that stays away is forgotten") {
  Server server({.attach_timeout = std::chrono::seconds(2)});
  auto query = server.negotiated();
  REQUIRE(status_of(server.ask("GET", query)) == 200);
  CHECK(server.empties());
  CHECK(server.attachment->hub().counters().ended_timeout.value() == 1);
  CHECK(status_of(server.ask("GET", query)) == 404);
}

TEST_CASE("long polling: a client that goes away while its poll waits may poll again") {
  Server server;
  auto query = server.polling();
  {
    SocketClient gone(server.port);
    gone.send(server.request("GET", query));
  }
  CHECK(status_of(server.ask("POST", query,
                             "{\"type\":1,\"invocationId\":\"7\",\"target\":\"Nothing\",\"arguments\":[]}\x1e")) == 200);
  CHECK(status_of(server.ask("DELETE", query)) == 202);
  CHECK(server.empties());
}

TEST_CASE("server-sent events: the stream begins at once and carries each message as an event") {
  Server server;
  auto query = server.negotiated();
  SocketClient stream(server.port);
  stream.send(server.request("GET", query, {}, events));
  REQUIRE(stream.read_until("\r\n\r\n:\r\n"));
  CHECK(status_of(stream.received()) == 200);
  CHECK(has(stream.received(), "Content-Type: text/event-stream\r\n"));
  CHECK(has(stream.received(), "Cache-Control: no-cache,no-store\r\n"));
  CHECK(has(stream.received(), "Pragma: no-cache\r\n"));
  CHECK(has(stream.received(), "Content-Encoding: identity\r\n"));
  CHECK(status_of(server.ask("POST", query, handshake.substr(0, 9))) == 200);
  CHECK(status_of(server.ask("POST", query, handshake.substr(9))) == 200);
  REQUIRE(stream.read_until("data: {}\x1e\r\n\r\n"));
  Batch batch;
  batch.append().device = "a";
  REQUIRE(server.attachment->hub().publish(std::make_shared<const Publication>(batch, "telemetry")));
  CHECK(stream.read_until(R"(data: {"type":1,"target":"telemetry","arguments":[[{"device":"a","time":0,"fields":{},"seq":1,)"));
  CHECK(stream.read_until("\"}]]}\x1e\r\n\r\n"));
  server.attachment->hub().retire();
  CHECK(stream.read_until("data: {\"type\":7,\"allowReconnect\":true}\x1e\r\n\r\n"));
  CHECK(stream.read_to_end());
}

TEST_CASE("server-sent events: a client that leaves is gone, and one that falls silent is pinged") {
  Server server({.keep_alive = HubOptions::Time(20)});
  {
    auto query = server.negotiated();
    SocketClient stream(server.port);
    stream.send(server.request("GET", query, {}, events));
    REQUIRE(stream.read_until(":\r\n"));
    REQUIRE(status_of(server.ask("POST", query, handshake)) == 200);
    CHECK(stream.read_until("data: {\"type\":6}\x1e\r\n\r\n"));
  }
  CHECK(server.empties());
}

TEST_CASE("server-sent events cannot carry MessagePack") {
  Server server;
  auto query = server.negotiated();
  SocketClient stream(server.port);
  stream.send(server.request("GET", query, {}, events));
  REQUIRE(stream.read_until(":\r\n"));
  REQUIRE(status_of(server.ask("POST", query, "{\"protocol\":\"messagepack\",\"version\":1}\x1e")) == 200);
  CHECK(stream.read_until("data: {\"error\":\"Cannot use the 'messagepack' protocol on the current transport."));
  CHECK(stream.read_to_end());
}

TEST_CASE("requests that fit no connection have the statuses that clients know") {
  Server server;
  for (auto method : {"GET", "POST", "DELETE"}) {
    CHECK(status_of(server.ask(method, "")) == 400);
    CHECK(status_of(server.ask(method, "?id=unknown")) == 404);
  }
  CHECK(status_of(server.ask("PATCH", "")) == 405);
  CHECK(status_of(server.ask("POST", server.negotiated(), handshake)) == 400);

  auto polled = server.polling();
  CHECK(status_of(server.ask("GET", polled, {}, events)) == 400);

  auto streamed = server.negotiated();
  SocketClient stream(server.port);
  stream.send(server.request("GET", streamed, {}, events));
  REQUIRE(stream.read_until(":\r\n"));
  CHECK(status_of(server.ask("GET", streamed, {}, events)) == 409);
  CHECK(status_of(server.ask("GET", streamed)) == 400);
  CHECK(status_of(server.ask("DELETE", streamed)) == 400);

  auto socket = server.negotiated();
  SocketClient websocket(server.port);
  websocket.send(server.request("GET", socket, {},
                                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"));
  REQUIRE(websocket.read_until("101 Switching"));
  CHECK(status_of(server.ask("POST", socket, handshake)) == 405);
  CHECK(status_of(server.ask("GET", socket)) == 400);
}

TEST_CASE("a transport that is not offered is not there") {
  Server server({.transports = {.websockets = false, .server_sent_events = false}});
  CHECK(status_of(server.ask("GET", server.negotiated(), {}, events)) == 404);
  CHECK(status_of(server.ask("GET", server.negotiated())) == 200);
}

TEST_CASE("every request of a client that is not let in is refused, but for a preflight") {
  Server server({}, [](Hub& hub) {
    hub.authorize([](const http::Request& request) { return request.parameter("access_token") == "right"; });
  });
  for (auto method : {"GET", "POST", "DELETE"}) {
    auto refused = server.ask(method, "?id=x");
    CHECK(status_of(refused) == 401);
    CHECK(has(refused, "WWW-Authenticate: Bearer\r\n"));
    CHECK(status_of(server.ask(method, "?id=x&access_token=right")) == 404);
  }
  CHECK(status_of(server.ask("POST", "/negotiate?access_token=wrong")) == 401);
  CHECK(status_of(server.ask("POST", "/negotiate?access_token=right")) == 200);
  CHECK(status_of(server.ask("OPTIONS", "/negotiate")) == 204);
}

TEST_CASE("a stream without end is let go of with its hub") {
  std::atomic<int> begun = 0, let_go = 0;
  {
    Server server({}, [&](Hub& hub) {
      hub.stream("Endless", [&](Call call) {
        auto kept = std::make_shared<Call>(std::move(call));
        kept->when_cancelled([kept, &let_go] {
          CHECK_FALSE(kept->item(1));
          ++let_go;
        });
        ++begun;
      });
    });
    auto query = server.polling();
    auto call = R"({"type":4,"invocationId":"1","target":"Endless","arguments":[]})"
                "\x1e";
    REQUIRE(status_of(server.ask("POST", query, call)) == 200);
    CHECK(begun == 1);
    CHECK(let_go == 0);
  }
  CHECK(let_go == 1);
}

TEST_CASE("who posts faster than it may is told to wait, and a POST that waits is answered when its connection ends") {
  HubOptions options;
  options.message_rate = 1;
  Server server(options);
  auto query = server.polling();  // which was a message, too
  std::string calls;
  for (int i = 1; i <= 100; ++i)
    calls += R"({"type":1,"invocationId":")" + std::to_string(i) + "\",\"target\":\"Latest\",\"arguments\":[]}\x1e";
  SocketClient waiting(server.port);
  waiting.send(Server::request("POST", query, calls));
  while (server.attachment->hub().counters().held.value() == 0) status_of(server.ask("GET", ""));
  CHECK(status_of(server.ask("POST", query, "{\"type\":6}\x1e")) == 429);
  CHECK(status_of(server.ask("DELETE", query)) == 202);
  REQUIRE(waiting.read_until("No Connection with that ID"));
  CHECK(status_of(waiting.received()) == 404);
}

TEST_CASE("more clients than may connect are refused while they negotiate already") {
  HubOptions options;
  options.max_connections = 2;
  Server server(options);
  server.negotiated();
  server.negotiated();
  CHECK(status_of(server.ask("POST", "/negotiate?negotiateVersion=1")) == 503);
  CHECK(server.attachment->hub().counters().refused_full.value() == 1);
}

TEST_CASE("a page of another origin is told what it may send, or that it may not") {
  HubOptions options;
  options.origins = {"https://plant.example"};
  Server server(options);
  for (auto path : {"", "/negotiate", "?id=x"}) {
    auto allowed = server.ask("OPTIONS", path, {}, "Origin: https://plant.example\r\nAccess-Control-Request-Method: POST\r\n");
    CHECK(status_of(allowed) == 204);
    CHECK(has(allowed, "Access-Control-Allow-Origin: https://plant.example\r\n"));
    CHECK(has(allowed, "Access-Control-Allow-Credentials: true\r\n"));
    CHECK(has(allowed, "Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS\r\n"));
    CHECK(
        has(allowed, "Access-Control-Allow-Headers: x-requested-with, x-signalr-user-agent, authorization, content-type\r\n"));
    CHECK(has(allowed, "Vary: Origin\r\n"));
    auto refused = server.ask("OPTIONS", path, {}, "Origin: https://evil.example\r\n");
    CHECK(status_of(refused) == 403);
    CHECK_FALSE(has(refused, "Access-Control-Allow"));
  }
}

TEST_CASE("who reads what waited for it is not silent, though it says nothing") {
  HubOptions options;
  options.client_timeout = std::chrono::minutes(10);
  Server server(options);
  SocketClient reader(server.port);
  auto query = server.negotiated();
  reader.send(Server::request("GET", query, {}, events));
  REQUIRE(reader.read_until(":\r\n"));
  REQUIRE(status_of(server.ask("POST", query, std::string(handshake) + "{\"type\":6}\x1e")) == 200);  // a client that pings
  using Clock = http::Loop::Clock;
  auto last_word = Clock::now();
  std::promise<bool> lives;
  server.listener.routes().loop()->post([&] {
    server.attachment->hub().each([&](Connection& one) {
      one.writable();  // as when the socket takes bytes again that it did not
      one.tick(last_word + options.client_timeout);
      lives.set_value(!one.gone());
    });
  });
  CHECK(lives.get_future().get());
}
