#include "runner/http/origin.h"

#include <catch2/catch.hpp>

using namespace millrace::http;

namespace {

Request from(std::string host, std::string origin, bool secure = false, bool loopback = true) {
  Request request{.method = "GET", .path = "/", .secure = secure, .loopback_listener = loopback};
  request.headers = {{"Host", std::move(host)}};
  if (!origin.empty()) request.headers.emplace_back("Origin", std::move(origin));
  return request;
}

std::string value_of(const std::vector<Header>& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

}  // namespace

TEST_CASE("a page's own origin is allowed, under a loopback name on a loopback listener") {
  Origins none;
  CHECK(none.allow(from("127.0.0.1:8080", "")));
  CHECK(none.allow(from("127.0.0.1:8080", "http://127.0.0.1:8080")));
  CHECK(none.allow(from("localhost:8080", "http://localhost:8080")));
  CHECK(none.allow(from("[::1]:8080", "http://[::1]:8080")));
  CHECK(none.allow(from("plant.example", "https://plant.example", true, false)));
  CHECK_FALSE(none.allow(from("evil.example:8080", "http://evil.example:8080")));
  CHECK_FALSE(none.allow(from("127.0.0.1.evil.example", "http://127.0.0.1.evil.example")));
}

TEST_CASE("other origins are refused unless listed exactly") {
  Origins listed({"https://plant.example:8443"});
  CHECK(listed.allow(from("127.0.0.1:8080", "https://plant.example:8443")));
  for (auto origin : {"null", "https://plant.example", "http://plant.example:8443", "https://PLANT.example:8443",
                      "https://plant.example:8443.evil.example", "https://evil.example/https://plant.example:8443",
                      "https://x.plant.example:8443", "https://127.0.0.1:8080", "http://127.0.0.1", "http://127.0.0.1:80800"}) {
    CAPTURE(origin);
    CHECK_FALSE(listed.allow(from("127.0.0.1:8080", origin)));
    CHECK(value_of(listed.headers(from("127.0.0.1:8080", origin)), "Access-Control-Allow-Origin").empty());
    CHECK(listed.preflight(from("127.0.0.1:8080", origin)).status == 403);
  }
}

TEST_CASE("two Origin headers are no origin") {
  Origins listed({"https://a.example"});
  auto request = from("127.0.0.1", "https://a.example");
  request.headers.emplace_back("Origin", "https://a.example");
  CHECK_FALSE(listed.allow(request));
}

TEST_CASE("CORS headers name the exact origin, with credentials") {
  Origins listed({"https://a.example"});
  auto headers = listed.headers(from("127.0.0.1", "https://a.example"));
  CHECK(value_of(headers, "Access-Control-Allow-Origin") == "https://a.example");
  CHECK(value_of(headers, "Access-Control-Allow-Credentials") == "true");
  CHECK(value_of(headers, "Vary") == "Origin");
  auto preflight = listed.preflight(from("127.0.0.1", "https://a.example"));
  CHECK(preflight.status == 204);
  auto asking = from("127.0.0.1", "https://a.example");
  asking.headers.emplace_back("Access-Control-Request-Headers", "authorization,x-tenant");
  CHECK(value_of(listed.preflight(asking).headers, "Access-Control-Allow-Headers") == "authorization,x-tenant");
  asking.headers.back().second = "x\r\nSet-Cookie: a=b";
  CHECK(value_of(listed.preflight(asking).headers, "Access-Control-Allow-Headers").starts_with("x-requested-with"));
  CHECK(value_of(preflight.headers, "Access-Control-Allow-Headers") ==
        "x-requested-with, x-signalr-user-agent, authorization, content-type");
}
