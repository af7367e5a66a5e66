#include "runner/http/address.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>

#include <charconv>

namespace millrace::http {
namespace {

bool is_ipv4(const std::string& host) {
  in_addr parsed{};
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1;
}

bool is_ipv6(const std::string& host) {
  in6_addr parsed{};
  return inet_pton(AF_INET6, host.c_str(), &parsed) == 1;
}

Error not_an_address(std::string_view text, std::string_view why) {
  return invalid(fmt::format("'{}' is not an address to listen on: {}; write it like 127.0.0.1:8080 or [::1]:8080", text, why));
}

}  // namespace

bool Address::loopback() const { return host == "::1" || (is_ipv4(host) && host.starts_with("127.")); }

std::string Address::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<Address> parse_address(std::string_view text) {
  std::string_view host, port = text;
  bool bracketed = text.starts_with('[');
  if (bracketed) {
    auto end = text.find("]:");
    if (end == std::string_view::npos) return not_an_address(text, "']:' and a port are missing");
    host = text.substr(1, end - 1);
    port = text.substr(end + 2);
  } else if (auto colon = text.rfind(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (host.empty()) host = "0.0.0.0";
  }

  Address address;
  if (!host.empty()) address.host = host == "localhost" ? "127.0.0.1" : std::string(host);
  if (bracketed ? !is_ipv6(address.host) : !is_ipv4(address.host)) {
    if (is_ipv6(address.host)) return not_an_address(text, "an IPv6 address goes into brackets");
    return not_an_address(text, fmt::format("'{}' is not a numeric address", address.host));
  }
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (error != std::errc{} || end != port.data() + port.size())
    return not_an_address(text, fmt::format("'{}' is not a port from 0 to 65535", port));
  return address;
}

}  // namespace millrace::http
