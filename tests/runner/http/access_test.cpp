#include "runner/http/access.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "runner/http/listener.h"
#include "runner/http/token_keys.h"
#include "tests/support/socket_client.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::http;

namespace {

struct Server {
  std::string token(Rights rights = Rights::all(), Duration lifetime = 10min, std::string_view audience = client_plane) {
    Identity ann{.user = "ann", .groups = {"*"}, .rights = rights};
    return access.mint(ann, audience, lifetime).value().token;
  }

  test::TempFolder folder;
  VirtualClock clock{from_millis(1'700'000'000'000)};
  std::shared_ptr<TokenKeys> keys = std::make_shared<TokenKeys>(TokenKeys::file_in(folder.path()));
  Access access{true, keys, &clock};
};

Request asking(std::vector<Header> headers, std::string query = {}) {
  return {.method = "GET", .path = "/", .query = std::move(query), .headers = std::move(headers), .loopback_listener = true};
}

std::string user_of(const std::optional<Identity>& identity) { return identity ? identity->user : "nobody"; }

}  // namespace

TEST_CASE("a bearer is known by the header, and by the query only where that is allowed") {
  Server s;
  std::string token = s.token();
  Access::Credentials in_query{.in_query = true};
  CHECK(user_of(s.access.identify(asking({{"Authorization", "Bearer " + token}}))) == "ann");
  CHECK(user_of(s.access.identify(asking({{"authorization", "bearer " + token}}))) == "ann");
  CHECK(user_of(s.access.identify(asking({}, "access_token=" + token), in_query)) == "ann");
  CHECK_FALSE(s.access.identify(asking({}, "access_token=" + token)));
  CHECK_FALSE(s.access.identify(asking({}, "access_token=" + token + "&access_token=" + token), in_query));
  CHECK_FALSE(s.access.identify(asking({{"Authorization", "Bearer " + token}, {"Authorization", "Bearer " + token}})));
  CHECK_FALSE(s.access.identify(asking({{"Authorization", "Bearer x"}}, "access_token=" + token), in_query));
  CHECK_FALSE(s.access.identify(asking({{"Authorization", "Basic " + token}})));
  CHECK_FALSE(s.access.identify(asking({})));
}

TEST_CASE("a token for one thing is no token for another") {
  Server s;
  auto hub = Request(asking({{"Authorization", "Bearer " + s.token(Rights::all(), 10min, "/hubs/a")}}));
  CHECK(s.access.identify(hub, {.audience = "/hubs/a"}));
  CHECK_FALSE(s.access.identify(hub, {.audience = "/hubs/b"}));
  CHECK_FALSE(s.access.identify(hub));
}

TEST_CASE("where no token is asked for, everybody may do everything but bring a bad one") {
  Server s;
  Access open(false, s.keys, &s.clock);
  auto anyone = open.identify(asking({}));
  REQUIRE(anyone);
  CHECK(anyone->user.empty());
  CHECK(anyone->rights == Rights::all());
  CHECK(anyone->any_group());
  CHECK_FALSE(anyone->expires);
  CHECK_FALSE(open.identify(asking({{"Authorization", "Bearer nonsense"}})));
  CHECK(open.identify(asking({{"Authorization", "Basic abc"}})));
  CHECK(user_of(open.identify(asking({{"Authorization", "Bearer " + s.token()}}))) == "ann");
}

TEST_CASE("the key file is made for its owner alone, and refused when others can read it") {
  Server s;
  s.token();
  struct stat about {};
  REQUIRE(stat(s.keys->file().c_str(), &about) == 0);
  CHECK((about.st_mode & 0777U) == 0600U);

  REQUIRE(chmod(s.keys->file().c_str(), 0640) == 0);
  auto refused = TokenKeys(s.keys->file()).keys();
  REQUIRE(refused.has_error());
  CHECK(refused.error().what.find("others can read it") != std::string::npos);
}

TEST_CASE("two who make the key file at once have the same key") {
  Server s;
  auto one = TokenKeys(s.keys->file()).keys(), other = TokenKeys(s.keys->file()).keys();
  REQUIRE(one.has_value());
  REQUIRE(other.has_value());
  CHECK((**one)[0].secret == (**other)[0].secret);
}

TEST_CASE("a rotated key signs, the one before it verifies, older ones do neither") {
  Server s;
  auto ids = [&] {
    std::vector<std::string> all;
    auto keys = TokenKeys(s.keys->file()).keys().value();
    for (const auto& key : *keys) all.push_back(key.id);
    return all;
  };
  s.token();
  auto first = ids();
  REQUIRE(TokenKeys::rotate(s.keys->file()).has_value());
  auto second = ids();
  REQUIRE(second.size() == 2);
  CHECK(second[1] == first[0]);
  REQUIRE(TokenKeys::rotate(s.keys->file()).has_value());
  auto third = ids();
  REQUIRE(third.size() == 2);
  CHECK(third[1] == second[0]);
  struct stat about {};
  REQUIRE(stat(s.keys->file().c_str(), &about) == 0);
  CHECK((about.st_mode & 0777U) == 0600U);
}

TEST_CASE("a broken key file says where, and shows no secret") {
  test::TempFolder folder;
  const std::string secret(40, 's');
  for (auto [text, what] : {std::pair{"one\n", "line 1"}, {"# only\n", "no key"}, {"a short\n", "line 1: a secret needs"}}) {
    auto file = folder.write("keys", text);
    REQUIRE(chmod(file.c_str(), 0600) == 0);
    auto keys = TokenKeys(file).keys();
    REQUIRE(keys.has_error());
    CHECK(keys.error().what.find(what) != std::string::npos);
  }
  auto file = folder.write("keys", "a " + secret + "\nb " + secret + " more\n");
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  auto keys = TokenKeys(file).keys();
  REQUIRE(keys.has_error());
  CHECK(keys.error().what.find(secret) == std::string::npos);
}

namespace {

/// A listener that asks for tokens, with the session's path and one that wants the right to acknowledge.
struct Listening {
  Listening() : listener({.address = {.port = 0}, .auth = Auth::required, .keys = keys}) {
    Routes& routes = listener.routes();
    session = routes.add("/api/session", serve_session(routes.access())).value();
    acks = routes.add("/ack", demand(routes.access(), Right::ack, Routes::answering([](const Request&) { return Response{}; })))
               .value();
    port = listener.start().value();
  }

  std::string ask(std::string_view method, std::string_view path, std::string_view headers = {}) {
    return test::http_exchange(port, std::string(method) + ' ' + std::string(path) +
                                         " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n" +
                                         std::string(headers) + "\r\n");
  }

  std::string bearer(Rights rights) {
    Identity ann{.user = "ann", .groups = {"*"}, .rights = rights};
    return "Authorization: Bearer " + listener.routes().access()->mint(ann, client_plane, 1h).value().token + "\r\n";
  }

  test::TempFolder folder;
  std::shared_ptr<TokenKeys> keys = std::make_shared<TokenKeys>(TokenKeys::file_in(folder.path()));
  Listener listener;
  Route session, acks;
  std::uint16_t port = 0;
};

}  // namespace

TEST_CASE("a path for those with a right tells 401 from 403") {
  Listening s;
  CHECK(test::status_of(s.ask("POST", "/ack")) == 401);
  CHECK(s.ask("POST", "/ack").find("WWW-Authenticate: Bearer\r\n") != std::string::npos);
  CHECK(test::status_of(s.ask("POST", "/ack", s.bearer({Right::read}))) == 403);
  CHECK(test::status_of(s.ask("POST", "/ack", s.bearer({Right::ack}))) == 200);
}

TEST_CASE("a page signs in with a token and is known by its cookie, which other pages cannot use") {
  Listening s;
  std::string answer = s.ask("POST", "/api/session", s.bearer({Right::read, Right::ack}));
  REQUIRE(test::status_of(answer) == 204);
  auto at = answer.find("Set-Cookie: ");
  REQUIRE(at != std::string::npos);
  std::string line = answer.substr(at + 12, answer.find("\r\n", at) - at - 12);
  CHECK(line.find("; HttpOnly; SameSite=Strict") != std::string::npos);
  std::string cookie = "Cookie: other=1; " + line.substr(0, line.find(';')) + "\r\n";

  auto who = nlohmann::json::parse(test::body_of(s.ask("GET", "/api/session", cookie)));
  CHECK(who["user"] == "ann");
  CHECK(who["rights"] == nlohmann::json({"read", "ack"}));
  CHECK(test::status_of(s.ask("POST", "/ack", cookie)) == 200);
  CHECK(test::status_of(s.ask("POST", "/ack", cookie + "Origin: http://127.0.0.1\r\n")) == 200);
  CHECK(test::status_of(s.ask("POST", "/ack", cookie + "Origin: http://evil.example\r\n")) == 401);

  std::string value = line.substr(line.find('=') + 1, line.find(';') - line.find('=') - 1);
  CHECK(test::status_of(s.ask("POST", "/ack", "Authorization: Bearer " + value + "\r\n")) == 401);
  CHECK(s.ask("DELETE", "/api/session", cookie).find("Max-Age=0") != std::string::npos);
  CHECK(test::status_of(s.ask("GET", "/api/session")) == 401);
  CHECK(test::status_of(s.ask("POST", "/api/session")) == 401);
  CHECK(test::status_of(s.ask("POST", "/api/session", cookie)) == 401);
}

TEST_CASE("a listener beyond loopback asks for tokens unless told not to") {
  CHECK(Listener({.address = {.host = "0.0.0.0"}, .insecure = true}).routes().access()->required());
  CHECK_FALSE(Listener({.address = {.host = "0.0.0.0"}, .insecure = true, .auth = Auth::none}).routes().access()->required());
  CHECK_FALSE(Listener({.address = {.port = 0}}).routes().access()->required());
  CHECK(Listener({.address = {.port = 0}, .auth = Auth::required}).routes().access()->required());
}
