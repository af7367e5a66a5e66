#include "runner/http/origin.h"

#include <algorithm>
#include <cctype>

namespace millrace::http {
namespace {

/// The host of a Host header without its port: "localhost", "127.0.0.1", "[::1]".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback_name(std::string_view host) {
  return host == "localhost" || host.ends_with(".localhost") || host == "[::1]" ||
         (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

bool is_own(const Request& request, const std::string& origin) {
  const std::string* host = request.header("Host");
  if (!host || host->empty()) return false;
  if (request.loopback_listener && !is_loopback_name(without_port(*host))) return false;
  return origin == (request.secure ? "https://" : "http://") + *host;
}

/// The headers that a preflight asks for; without a list that makes sense those that SignalR clients send by themselves. A page
/// that may connect at all may send what headers it likes.
std::string wanted_headers(const Request& request) {
  const std::string* asked = request.header("Access-Control-Request-Headers");
  auto is_list = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == ',' || c == ' ';
  };
  if (asked && !asked->empty() && std::all_of(asked->begin(), asked->end(), is_list)) return *asked;
  return "x-requested-with, x-signalr-user-agent, authorization, content-type";
}

}  // namespace

bool Origins::allow(const Request& request) const {
  auto count = std::count_if(request.headers.begin(), request.headers.end(),
                             [](const Header& header) { return equal_ignoring_case(header.first, "Origin"); });
  if (count == 0) return true;
  if (count > 1) return false;
  const std::string& origin = *request.header("Origin");
  return is_own(request, origin) || std::find(allowed_.begin(), allowed_.end(), origin) != allowed_.end();
}

std::vector<Header> Origins::headers(const Request& request) const {
  std::vector<Header> headers{{"Vary", "Origin"}};
  const std::string* origin = request.header("Origin");
  if (!origin || !allow(request)) return headers;
  headers.emplace_back("Access-Control-Allow-Origin", *origin);
  headers.emplace_back("Access-Control-Allow-Credentials", "true");
  return headers;
}

Response Origins::preflight(const Request& request) const {
  if (!allow(request)) return {.status = 403, .body = "This origin is not allowed here.\n"};
  Response response{.status = 204, .content_type = "", .headers = headers(request)};
  response.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  response.headers.emplace_back("Access-Control-Allow-Headers", wanted_headers(request));
  response.headers.emplace_back("Access-Control-Max-Age", "600");
  return response;
}

}  // namespace millrace::http
