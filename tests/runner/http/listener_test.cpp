#include "runner/http/listener.h"

#include <catch2/catch.hpp>
#include <future>
#include <vector>

#include "runner/http/websocket.h"
#include "tests/support/socket_client.h"

using namespace millrace;
using namespace millrace::http;
using test::body_of;
using test::http_exchange;
using test::http_get;
using test::SocketClient;
using test::status_of;

namespace {

ListenOptions any_port() { return {.address = {.port = 0}}; }

/// A listener with a route that tells what it was asked.
struct Server {
  explicit Server(ListenOptions options = any_port()) : listener(std::move(options)) {
    routes.push_back(listener.routes()
                         .add("/echo", Routes::answering([](const Request& request) {
                                return Response{.body = request.method + " " + request.path + " " + request.body};
                              }))
                         .value());
    port = listener.start().value();
  }

  Listener listener;
  std::vector<Route> routes;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("requests on one connection are answered in order, early ones too") {
  Server server;
  SocketClient client(server.port);
  client.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\nPOST /ECHO HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
              http_get("/none"));
  REQUIRE(client.read_to_end());
  const std::string& got = client.received();
  auto first = got.find("GET /echo "), second = got.find("POST /ECHO abc"), third = got.find("HTTP/1.1 404");
  CHECK(first != std::string::npos);
  CHECK(first < second);
  CHECK(second < third);
  CHECK(third != std::string::npos);
}

TEST_CASE("a request may come byte by byte, its body in chunks") {
  Server server;
  SocketClient client(server.port);
  for (char c :
       std::string("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"))
    client.send(std::string_view(&c, 1));
  CHECK(client.read_until("POST /echo abcde"));
}

TEST_CASE("an absolute target and an escaped path mean the same") {
  Server server;
  CHECK(body_of(http_exchange(server.port, http_get("http://elsewhere/%65cho?x=1"))) == "GET /echo ");
  CHECK(status_of(http_exchange(server.port, http_get("/%zz"))) == 400);
  CHECK(status_of(http_exchange(server.port, http_get("/%00"))) == 400);
}

TEST_CASE("HEAD gets the head alone") {
  Server server;
  auto answer = http_exchange(server.port, "HEAD /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK(status_of(answer) == 200);
  CHECK(answer.find("Content-Length: 11\r\n") != std::string::npos);
  CHECK(body_of(answer).empty());
}

TEST_CASE("what is ambiguous or no HTTP is refused and the connection closed") {
  Server server;
  CHECK(status_of(http_exchange(
            server.port,
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")) == 400);
  CHECK(status_of(http_exchange(server.port, "GET /echo HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")) == 400);
  CHECK(status_of(http_exchange(server.port, "GET /echo HTTP/1.1\r\n\r\n")) == 400);
  CHECK(status_of(http_exchange(server.port, "GET /echo HTTP/1.1\r\nHost: a\r\nX: a\r\n folded\r\n\r\n")) == 400);
  CHECK(status_of(http_exchange(server.port, std::string("\x16\x03\x01\x02\x00\x01\r\n\r\n", 10))) == 400);
  CHECK(status_of(http_exchange(server.port, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")) ==
        400);
  CHECK(server.listener.counters().refused_malformed.value() == 6);
}

TEST_CASE("heads and bodies beyond the limits are refused") {
  Server server;
  CHECK(status_of(http_exchange(server.port, http_get("/echo", "X: " + std::string(17000, 'x') + "\r\n"))) == 431);
  CHECK(status_of(http_exchange(server.port, "GET /" + std::string(20000, 'x'))) == 431);
  CHECK(status_of(http_exchange(server.port, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n")) == 413);
  CHECK(body_of(http_exchange(server.port,
                              "POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n" +
                                  std::string(1048576, 'x')))
            .size() == 11 + 1048576);
}

TEST_CASE("a request that dawdles is cut off") {
  auto options = any_port();
  options.limits.request_time = std::chrono::milliseconds(50);
  options.limits.idle_time = std::chrono::milliseconds(50);
  Server server(options);
  for (auto begun : {"GET /echo HTTP/1.1\r\nHost:", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc"}) {
    SocketClient client(server.port);
    client.send(begun);
    CHECK(client.read_to_end());
    CHECK(status_of(client.received()) == 408);
  }
  SocketClient silent(server.port);
  CHECK(silent.read_to_end());
  CHECK(silent.received().empty());
  CHECK(server.listener.counters().timed_out.value() == 3);
}

TEST_CASE("connections beyond the limit are closed, and places come back") {
  auto options = any_port();
  options.limits.connections = 2;
  Server server(options);
  SocketClient first(server.port);
  first.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(first.read_until("GET /echo"));
  {
    SocketClient second(server.port);
    second.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(second.read_until("GET /echo"));
    SocketClient third(server.port);
    CHECK(third.read_to_end());
    CHECK(third.received().empty());
    second.send(http_get("/echo"));
    REQUIRE(second.read_to_end());
  }
  CHECK(server.listener.counters().refused_full.value() == 1);
  SocketClient again(server.port);
  again.send("GET /echo HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(again.read_until("GET /echo"));
}

TEST_CASE("an occupied port is named, with what to do") {
  Server server;
  auto options = any_port();
  options.address.port = server.port;
  Listener second(options);
  auto started = second.start();
  REQUIRE(started.has_error());
  CHECK(started.error().kind == ErrorKind::unavailable);
  CHECK(started.error().what.find("127.0.0.1:" + std::to_string(server.port) + " is occupied") != std::string::npos);
  CHECK(started.error().what.find("--listen") != std::string::npos);
}

TEST_CASE("an address beyond loopback needs TLS or an explicit insecure") {
  ListenOptions options{.address = {.host = "0.0.0.0", .port = 0}};
  auto refused = Listener(options).start();
  REQUIRE(refused.has_error());
  CHECK(refused.error().kind == ErrorKind::invalid);
  CHECK(refused.error().what.find("insecure: true") != std::string::npos);
  options.insecure = true;
  CHECK(Listener(options).start().has_value());
}

TEST_CASE("routes come and go while the listener runs") {
  Server server;
  Routes& routes = server.listener.routes();
  CHECK(routes.add("/Echo", {}).error().what.find("/Echo") != std::string::npos);
  auto says = [](std::string text) { return Routes::answering([text](const Request&) { return Response{.body = text}; }); };
  Route all = routes.add_prefix("/", says("all")).value();
  Route api = routes.add_prefix("/api/", says("api")).value();
  auto ask = [&](std::string_view path) { return body_of(http_exchange(server.port, http_get(path))); };
  CHECK(ask("/") == "all");
  CHECK(ask("/apiary") == "all");
  CHECK(ask("/api") == "api");
  CHECK(ask("/api/x/y") == "api");
  CHECK(ask("/echo") == "GET /echo ");
  api = Route{};
  CHECK(ask("/api/x/y") == "all");
  all = Route{};
  CHECK(status_of(http_exchange(server.port, http_get("/api"))) == 404);
}

TEST_CASE("a handler may answer later, or learn that nobody waits any more") {
  Server server;
  std::promise<Exchange> held;
  std::promise<void> gone;
  auto later = [&](const Request&, Exchange exchange) {
    exchange.when_gone([&] { gone.set_value(); });
    held.set_value(std::move(exchange));
  };
  Route route = server.listener.routes().add("/later", later).value();

  SECTION("answers") {
    SocketClient client(server.port);
    client.send(http_get("/later"));
    Exchange exchange = held.get_future().get();
    server.listener.routes().loop()->post([&] { exchange.respond({.body = "at last"}); });
    CHECK(client.read_until("at last"));
    server.listener.stop();
  }
  SECTION("gone") {
    SocketClient(server.port).send(http_get("/later"));
    CHECK(gone.get_future().wait_for(std::chrono::seconds(10)) == std::future_status::ready);
    server.listener.stop();
    auto exchange = held.get_future().get();
  }
}

TEST_CASE("a request that nobody answers is answered 500") {
  Server server;
  Route route = server.listener.routes().add("/forgets", [](const Request&, Exchange) {}).value();
  CHECK(status_of(http_exchange(server.port, http_get("/forgets"))) == 500);
}

TEST_CASE("a connection can be taken over by a WebSocket, with what came early") {
  Server server;
  std::unique_ptr<Stream> stream;
  std::string early;
  auto take = [&](const Request& request, Exchange exchange) {
    stream = websocket::upgrade(request, std::move(exchange));
    if (!stream) return;
    char buffer[100];
    early.assign(buffer, stream->read(buffer).bytes);
    std::string_view frame = "\x81\x02hi";
    stream->write(std::span(&frame, 1));
    stream->end_writing();
  };
  Route route = server.listener.routes().add("/ws", take).value();
  std::string upgrade = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n";
  std::string key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", version = "Sec-WebSocket-Version: 13\r\n";
  std::string head = "GET /ws HTTP/1.1\r\nHost: a\r\n";

  SECTION("accepted") {
    auto answer = http_exchange(server.port, head + upgrade + key + version + "\r\nearly");
    CHECK(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    CHECK(answer.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi") != std::string::npos);
    CHECK(early == "early");
  }
  SECTION("refused") {
    std::string close = "Connection: close\r\n\r\n";
    CHECK(status_of(http_exchange(server.port, head + close)) == 426);
    CHECK(status_of(http_exchange(server.port, head + upgrade + key + "Sec-WebSocket-Version: 8\r\n" + close)) == 426);
    CHECK(status_of(http_exchange(server.port, head + upgrade + version + close)) == 400);
    CHECK(status_of(http_exchange(server.port, head + upgrade + version + "Sec-WebSocket-Key: short\r\n" + close)) == 400);
    CHECK(status_of(http_exchange(
              server.port, "POST /ws HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + upgrade + key + version + close)) == 405);
  }
  server.listener.stop();
}

TEST_CASE("health, readiness and metrics answer what they are given") {
  Server server;
  Readiness state{false, "{\"porch\":\"connecting\"}"};
  auto& routes = server.listener.routes();
  Route health = routes.add("/healthz", serve_health()).value();
  Route ready = routes.add("/readyz", serve_readiness([&] { return state; })).value();
  Route metrics = routes.add("/metrics", serve_metrics([] { return "up 1\n"; })).value();
  CHECK(status_of(http_exchange(server.port, http_get("/healthz"))) == 200);
  auto answer = http_exchange(server.port, http_get("/readyz"));
  CHECK(status_of(answer) == 503);
  CHECK(body_of(answer) == state.json);
  state.ready = true;
  CHECK(status_of(http_exchange(server.port, http_get("/readyz"))) == 200);
  answer = http_exchange(server.port, http_get("/metrics"));
  CHECK(answer.find("Content-Type: text/plain; version=0.0.4") != std::string::npos);
  CHECK(body_of(answer) == "up 1\n");
  CHECK(status_of(http_exchange(server.port,
                                "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) == 405);
  server.listener.stop();
}

TEST_CASE("tasks run in order on the loop, and not after it has stopped") {
  Server server;
  auto loop = server.listener.routes().loop();
  std::promise<std::string> said;
  std::string text;
  loop->post([&] { text += "a"; });
  loop->post([&] {
    text += "b";
    said.set_value(text);
  });
  CHECK(said.get_future().get() == "ab");
  server.listener.stop();
  auto held = std::make_shared<int>();
  loop->post([held] { FAIL("ran after the end"); });
  CHECK(held.use_count() == 1);
}
