#include "faces.h"

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runner/http/origin.h"
#include "runner/http/token.h"

namespace millrace::test {
namespace {

using http::Request;
using http::Response;

const http::SigningKey key{.id = "test", .secret = "a secret that only tests may know"};
constexpr std::string_view audience = "test hub";
constexpr std::string_view cookie = "testCookie=testValue";

Time wall_clock() { return std::chrono::time_point_cast<Time::duration>(std::chrono::system_clock::now()); }

/// A route that pages of `origins` may read.
class Face {
 public:
  Face(http::Routes& routes, http::Origins origins) : routes_(routes), origins_(std::move(origins)) {}

  void answer(const std::string& path, http::Answer answer) {
    keep(routes_.add_prefix(path, [origins = origins_, answer](const Request& request, http::Exchange exchange) {
      if (request.method == "OPTIONS") return exchange.respond(origins.preflight(request));
      Response response = answer(request);
      for (auto& header : origins.headers(request)) response.headers.push_back(std::move(header));
      exchange.respond(std::move(response));
    }));
  }

  void keep(Result<http::Route> route) { made_.push_back(std::move(route.value())); }
  std::vector<http::Route> take() { return std::move(made_); }

 private:
  http::Routes& routes_;
  http::Origins origins_;
  std::vector<http::Route> made_;
};

/// Node's event source takes no relative address.
Response redirect_echo(const Request& request, bool secure) {
  const std::string* host = request.header("Host");
  std::string path = request.path;
  path.erase(path.find("redirect"), std::string_view("redirect").size());
  std::string query = request.query.empty() ? "" : "?" + request.query;
  std::string scheme = secure ? "https://" : "http://";
  return {.status = 307, .headers = {{"Location", scheme + (host ? *host : "") + path + query}}};
}

/// Sends who negotiates on to the hub at the given `baseUrl`, telling it how many this has happened to.
Response redirect_negotiation(const Request& request) {
  static std::atomic<int> redirects = 0;
  std::string url = request.parameter("baseUrl").value_or("") + "/testHub?numRedirects=" + std::to_string(++redirects);
  return {.content_type = "application/json", .body = nlohmann::json{{"url", url}}.dump()};
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

std::string Tokens::make() const {
  http::Identity identity{.user = "testuser", .rights = http::Rights::all(), .expires = wall_clock() + std::chrono::seconds(5)};
  return http::mint_token(key, identity, audience, wall_clock());
}

bool Tokens::allow(const Request& request) const {
  const std::string* header = request.header("Authorization");
  bool bearer = header && header->starts_with("Bearer ");
  std::string token = bearer ? header->substr(7) : request.parameter("access_token").value_or("");
  return http::verify_token(token, std::span(&key, 1), std::span(&audience, 1), wall_clock()).has_value();
}

std::vector<http::Header> negotiation_cookies(bool secure) {
  std::string scope = secure ? "; Path=/; SameSite=None; Secure; Partitioned" : "; Path=/";
  return {{"Set-Cookie", std::string(cookie) + scope},
          {"Set-Cookie", "testCookie2=testValue2" + scope},
          {"Set-Cookie", "expiredCookie=doesntmatter" + scope + "; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}};
}

void serve_echo(signalr::Hub& hub, bool secure) {
  hub.negotiate_with(negotiation_cookies(secure));
  hub.raw([](signalr::Connection& connection, std::string_view bytes) { connection.send_text(bytes); });
  hub.on_connect([](signalr::Connection& connection, const Request& request) {
    const std::string* cookies = request.header("Cookie");
    bool known = cookies && cookies->find(cookie) != std::string::npos;
    if (connection.transport_name() != "WebSockets" && !known) connection.close(signalr::End::client, {}, false);
  });
}

std::vector<http::Route> add_faces(http::Routes& routes, const Faces& faces,
                                   std::shared_ptr<std::weak_ptr<signalr::Hub>> current) {
  http::Origins allowed(faces.origins);
  Face face(routes, allowed);
  face.answer("/echoredirect", [secure = faces.secure](const Request& request) { return redirect_echo(request, secure); });
  face.answer("/redirect/negotiate", redirect_negotiation);
  face.answer("/bad-negotiate", [](const Request&) { return Response{.status = 400, .body = "Some response from server"}; });
  face.answer("/generateJwtToken", [tokens = faces.tokens](const Request&) { return Response{.body = tokens.make()}; });
  if (!faces.webworker.empty())
    face.answer("/lib/signalr-webworker/signalr.js", [text = read(faces.webworker)](const Request&) {
      return Response{.content_type = "text/javascript", .body = text};
    });

  std::string prefix = "/clientresult";
  face.keep(routes.add_prefix(prefix, [=](const Request& request, http::Exchange exchange) {
    if (request.method == "OPTIONS") return exchange.respond(allowed.preflight(request));
    auto hub = current->lock();
    auto client = hub ? hub->find(request.path.substr(prefix.size() + 1)) : nullptr;
    auto kept = std::make_shared<http::Exchange>(std::move(exchange));
    auto answer = [kept, headers = allowed.headers(request)](std::string text) {
      kept->respond({.body = std::move(text), .headers = headers});
    };
    if (!client) return answer("There is no such client.");
    client->invoke_client("Result", nlohmann::json::array(), [answer](signalr::ClientResult result) {
      answer(result.error ? *result.error : result.value.is_number_integer() ? result.value.dump() : "Expected an integer.");
    });
  }));
  return face.take();
}

}  // namespace millrace::test
