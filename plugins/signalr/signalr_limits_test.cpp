// What one user or program may not use up for all others.
#include <catch2/catch.hpp>

#include <chrono>
#include <nlohmann/json.hpp>
#include <set>

#include "plugins/signalr/signalr_test_hub.h"
#include "runner/http/access.h"
#include "runner/http/token_keys.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::signalr;
using namespace millrace::signalr::test;

namespace {

constexpr http::Rate three_and_no_more{.per_second = 1e-6, .at_once = 3};

/// A hub where clients may bring tokens.
struct Guarded {
  explicit Guarded(HubOptions options)
      : keys(std::make_shared<http::TokenKeys>(http::TokenKeys::file_in(folder.path()))), server(std::move(options), keys) {}

  /// The answer to a request with a token of `user`, or without one if that is empty.
  std::string post(std::string_view path, const std::string& user, std::string_view body = {},
                   const std::string& headers = {}) {
    std::string bearer = user.empty() ? "" : "Authorization: Bearer " + token(user) + "\r\n";
    return http_exchange(server.port, "POST " + std::string(path) + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + bearer +
                                          headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                                          std::string(body));
  }

  std::string token(const std::string& user) const {
    http::Identity who{.user = user, .groups = {"*"}, .rights = http::Rights::all()};
    return access.mint(who, http::client_plane, 5min).value().token;
  }

  millrace::test::TempFolder folder;
  std::shared_ptr<http::TokenKeys> keys;
  http::Access access{false, keys};
  LiveHub server;
};

}  // namespace

TEST_CASE("negotiations beyond the rate of a user or an address are put off, and nobody else's") {
  Guarded hub({.negotiations = three_and_no_more});
  auto negotiate = [&](const std::string& user) { return hub.post("/hubs/telemetry/negotiate?negotiateVersion=1", user); };
  for (const char* user : {"ann", "bob"}) {
    for (int i = 0; i < 3; ++i) CHECK(status_of(negotiate(user)) == 200);
    auto refused = negotiate(user);
    CHECK(status_of(refused) == 429);
    CHECK(refused.find("Retry-After: 3600\r\n") != std::string::npos);
  }
  CHECK(hub.server.counters().limited.value() == 2);
  // Who is on this machine and needs no token is not limited.
  for (int i = 0; i < 10; ++i) CHECK(status_of(negotiate("")) == 200);
  CHECK(hub.server.counters().refused_full.value() == 0);
}

TEST_CASE("who has as many connections as a user may gets no more until one has ended, and others do") {
  Guarded hub({.max_connections_per_user = 2, .attach_timeout = std::chrono::minutes(10)});
  const HubCounters& counters = hub.server.counters();
  auto negotiate = [&](const std::string& user) {
    return status_of(hub.post("/hubs/telemetry/negotiate?negotiateVersion=1", user));
  };
  auto connect = [&](std::string_view path, const std::string& user) {
    auto client = std::make_unique<SocketClient>(hub.server.port);
    client->send(upgrade(path, "Authorization: Bearer " + hub.token(user) + "\r\n"));
    REQUIRE(client->read_until("\r\n\r\n"));
    return client;
  };
  auto first = connect("/hubs/telemetry", "ann");
  CHECK(status_of(first->received()) == 101);
  CHECK(negotiate("ann") == 200);
  auto refused = hub.post("/hubs/telemetry/negotiate", "ann");
  CHECK(status_of(refused) == 429);
  CHECK(refused.find("Too many connections of one user") != std::string::npos);
  for (auto path : {"/hubs/telemetry", "/hubs/telemetry/ws"}) CHECK(status_of(connect(path, "ann")->received()) == 429);
  CHECK(counters.refused_user.value() == 3);
  CHECK(counters.refused_full.value() == 0);
  CHECK(negotiate("bob") == 200);
  for (int i = 0; i < 10; ++i) CHECK(negotiate("") == 200);  // on this machine, and without a token

  first.reset();
  hub.server.wait_for_clients(0);
  CHECK(negotiate("ann") == 200);
  CHECK(negotiate("ann") == 429);
}

TEST_CASE("a place that was negotiated and never used is free again after its time") {
  Guarded hub({.max_connections_per_user = 1, .attach_timeout = HubOptions::Time(50)});
  auto negotiate = [&] { return status_of(hub.post("/hubs/telemetry/negotiate?negotiateVersion=1", "ann")); };
  for (int i = 0; i < 2; ++i)
    while (negotiate() != 200) hub.server.settle();
  CHECK(hub.server.counters().clients.value() == 0);
}

TEST_CASE("a connection and the negotiation that it came from are one") {
  Guarded hub({.max_connections_per_user = 1});
  auto answer = hub.post("/hubs/telemetry/negotiate?negotiateVersion=1", "ann");
  std::string id = nlohmann::json::parse(body_of(answer))["connectionToken"];
  SocketClient client(hub.server.port);
  client.send(upgrade("/hubs/telemetry?id=" + id, "Authorization: Bearer " + hub.token("ann") + "\r\n") + handshake());
  REQUIRE(client.read_until("{}\x1e"));
  CHECK(status_of(hub.post("/hubs/telemetry/negotiate", "ann")) == 429);
}

TEST_CASE("a page of another origin may read when to negotiate again") {
  Guarded hub({.origins = {"https://plant.example"}, .negotiations = {.per_second = 1e-6, .at_once = 1}});
  auto ask = [&] { return hub.post("/hubs/telemetry/negotiate", "ann", {}, "Origin: https://plant.example\r\n"); };
  CHECK(status_of(ask()) == 200);
  auto refused = ask();
  CHECK(status_of(refused) == 429);
  CHECK(refused.find("Access-Control-Allow-Origin: https://plant.example\r\n") != std::string::npos);
}

TEST_CASE("requests of REST beyond the rate are put off before they do anything") {
  Guarded hub({.rest = "telemetry", .rest_requests = three_and_no_more});
  HubClient client(hub.server);
  auto say = [&](const std::string& user) {
    return hub.post("/api/hubs/telemetry/:send", user, R"({"target":"t","arguments":["from )" + user + R"("]})");
  };
  for (int i = 0; i < 3; ++i) CHECK(status_of(say("ann")) == 202);
  auto refused = say("ann");
  CHECK(status_of(refused) == 429);
  CHECK(refused.find("Retry-After: 3600\r\n") != std::string::npos);
  CHECK(refused.find("TooManyRequests") != std::string::npos);
  CHECK(status_of(say("bob")) == 202);
  REQUIRE(client.read_until("from bob"));
  CHECK(client.count("from ann") == 3);
  CHECK(hub.server.counters().limited.value() == 1);
  // Who may not send at all is told that, and uses up nobody's share.
  CHECK(status_of(say("")) == 401);
}

TEST_CASE("groups are kept for 10,000 users, and those that have lapsed make room") {
  LiveHub server;
  Hub& hub = server.hub();
  auto later = Hub::Clock::now() + 24h, past = Hub::Clock::now() - 24h;
  server.on_loop([&] {
    int refused = 0;
    for (int i = 0; i < 10'000; ++i)
      if (!hub.join_user("user " + std::to_string(i), "g", later)) ++refused;
    CHECK(refused == 0);
    CHECK_FALSE(hub.join_user("one more", "g", later));
    CHECK_FALSE(hub.user_in_group("one more", "g"));
    // Those that are kept already may get another, and who needs nothing kept is not refused.
    CHECK(hub.join_user("user 17", "h", later));
    CHECK(hub.join_user("one more", "g", std::nullopt));
    hub.part_user("user 3");
    CHECK(hub.join_user("one more", "g", later));
    CHECK_FALSE(hub.join_user("and another", "g", later));
    // Of a user with two groups one may lapse.
    hub.part_user("user 17");
    CHECK(hub.join_user("user 17", "g", later));
    CHECK(hub.join_user("user 17", "short", past));
    hub.part_user("user 18");
    CHECK(hub.join_user("lapsed", "g", past));
    CHECK(hub.join_user("and another", "g", later));
    CHECK_FALSE(hub.user_in_group("lapsed", "g"));
    CHECK(hub.user_in_group("user 17", "g"));
    CHECK_FALSE(hub.user_in_group("user 17", "short"));
  });
}

TEST_CASE("who may see only some groups gets the latest of those alone, subscribed or not") {
  Guarded hub({.series = 1000});
  std::vector<std::string> patterns{"device:plant-777", "device:*-9?"};
  for (int i = 0; i < 98; ++i) patterns.push_back("device:plant-1" + std::to_string(i) + "-*");
  http::Identity who{.user = "ann", .groups = patterns, .rights = http::Rights::all()};
  std::string token = hub.access.mint(who, hub.server.options.path, 5min).value().token;
  std::set<std::string> expected;
  for (int i = 0; i < 1000; ++i) {
    std::string device = "plant-" + std::to_string(i) + (i % 3 == 0 ? "-x" : "");
    hub.server.publish(device, i);
    if (who.may_join("device:" + device)) expected.insert(device);
  }
  SocketClient client(hub.server.port);
  client.send(upgrade("/hubs/telemetry?access_token=" + token) + handshake());
  REQUIRE(client.read_until("{}\x1e"));
  auto latest = [&] {
    std::set<std::string> devices;
    hub.server.on_loop([&] {
      hub.server.hub().each([&](Connection& connection) {
        for (const Encoded& record : hub.server.hub().latest(connection, {}))
          devices.insert(nlohmann::json::parse(record.json)["device"].get<std::string>());
      });
    });
    return devices;
  };
  CHECK(expected.size() > 30);
  CHECK(latest() == expected);
  client.send(call("1", "Subscribe", R"(["plant-777"])"));
  REQUIRE(client.read_until(R"({"type":3,"invocationId":"1")"));
  CHECK(latest() == expected);
}
