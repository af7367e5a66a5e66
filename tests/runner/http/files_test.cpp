#include "runner/http/files.h"

#include <catch2/catch.hpp>

#include "runner/http/listener.h"
#include "tests/support/socket_client.h"

using namespace millrace::http;
using millrace::test::body_of;
using millrace::test::http_exchange;
using millrace::test::http_get;
using millrace::test::status_of;

namespace {

constexpr StaticFile files[] = {
    {.path = "/index.html", .content_type = "text/html; charset=utf-8", .bytes = "<p>page"},
    {.path = "/app.js",
     .content_type = "text/javascript; charset=utf-8",
     .bytes = "plain",
     .gzip = "squeezed",
     .immutable = true},
};

std::string header_value(const std::string& answer, const std::string& name) {
  auto at = answer.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  at += name.size() + 4;
  return answer.substr(at, answer.find("\r\n", at) - at);
}

}  // namespace

TEST_CASE("embedded files are served with tags, compression and a strict policy") {
  Listener listener({.address = {.port = 0}});
  Route route = listener.routes().add_prefix("/", serve_files(files)).value();
  auto port = listener.start().value();

  auto page = http_exchange(port, http_get("/"));
  CHECK(status_of(page) == 200);
  CHECK(body_of(page) == "<p>page");
  CHECK(header_value(page, "Content-Type") == "text/html; charset=utf-8");
  CHECK(header_value(page, "Cache-Control") == "no-cache");
  CHECK(header_value(page, "X-Content-Type-Options") == "nosniff");
  auto policy = header_value(page, "Content-Security-Policy");
  CHECK(policy.starts_with("default-src 'none'; script-src 'self'"));
  CHECK(policy.find("connect-src 'self'") != std::string::npos);

  auto etag = header_value(page, "ETag");
  REQUIRE(etag.size() > 2);
  auto same = http_exchange(port, http_get("/index.html", "If-None-Match: \"other\", W/" + etag + "\r\n"));
  CHECK(status_of(same) == 304);
  CHECK(body_of(same).empty());
  CHECK(status_of(http_exchange(port, http_get("/", "If-None-Match: \"other\"\r\n"))) == 200);

  auto squeezed = http_exchange(port, http_get("/app.js", "Accept-Encoding: br, gzip\r\n"));
  CHECK(body_of(squeezed) == "squeezed");
  CHECK(header_value(squeezed, "Content-Encoding") == "gzip");
  CHECK(header_value(squeezed, "Vary") == "Accept-Encoding");
  CHECK(header_value(squeezed, "Cache-Control") == "public, max-age=31536000, immutable");
  CHECK(body_of(http_exchange(port, http_get("/app.js"))) == "plain");
  CHECK(header_value(http_exchange(port, http_get("/app.js")), "ETag") != header_value(squeezed, "ETag"));

  CHECK(status_of(http_exchange(port, http_get("/../etc/passwd"))) == 404);
  CHECK(status_of(http_exchange(port, http_get("/%2e%2e/etc/passwd"))) == 404);
  CHECK(status_of(http_exchange(port, "DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 405);
  CHECK(status_of(http_exchange(
            port, "POST /hubs/wrong/negotiate HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")) == 404);
  auto head = http_exchange(port, "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  CHECK(header_value(head, "Content-Length") == "7");
  CHECK(body_of(head).empty());
}
