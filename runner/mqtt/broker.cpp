#include "runner/mqtt/broker.h"

#include <fmt/core.h>

#include <array>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <charconv>
#include <cstdint>

namespace millrace::mqtt {
namespace {

struct Scheme {
  std::string_view name;
  std::string_view paho;
  std::string_view port;
};

constexpr std::array<Scheme, 4> schemes{
    {{"mqtt", "tcp", "1883"}, {"mqtts", "ssl", "8883"}, {"ws", "ws", "80"}, {"wss", "wss", "443"}}};

Error bad_address(std::string_view broker, std::string_view why) {
  return invalid(fmt::format("broker '{}' {}; expected mqtt://HOST[:PORT], mqtts://, ws:// or wss://", broker, why));
}

}  // namespace

Result<std::string> paho_address(std::string_view broker) {
  auto url = boost::urls::parse_uri({broker.data(), broker.size()});
  if (!url) return bad_address(broker, "is no address");
  // The text may hold a password: do not show it.
  if (url->has_userinfo())
    return invalid("broker: a user name and password belong in 'username' and 'password', not in the address");
  if (url->encoded_host().empty()) return bad_address(broker, "names no host");
  if (url->has_query() || url->has_fragment()) return bad_address(broker, "has more than an address");
  for (const Scheme& scheme : schemes) {
    if (std::string_view(url->scheme()) != scheme.name) continue;
    std::string_view port = url->has_port() ? std::string_view(url->port()) : scheme.port;
    std::uint16_t number = 0;
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (error != std::errc{} || end != port.data() + port.size() || number == 0)
      return bad_address(broker, "has no valid port: 1 to 65535");
    std::string_view path = url->encoded_path();
    bool websocket = scheme.name.starts_with("ws");
    if (!websocket && !path.empty() && path != "/") return bad_address(broker, "has more than an address");
    return fmt::format("{}://{}:{}{}", scheme.paho, std::string_view(url->encoded_host()), port, websocket ? path : "");
  }
  return bad_address(broker, "has an unknown scheme");
}

std::string problem_of(const Broker& broker) {
  bool secure = broker.broker.starts_with("mqtts:") || broker.broker.starts_with("wss:");
  bool files = !broker.tls.ca.path.empty() || !broker.tls.cert.path.empty() || !broker.tls.key.path.empty();
  if (files && !secure) return "tls is given, but the broker's address is not mqtts:// or wss://";
  if (!broker.tls.key.path.empty() && broker.tls.cert.path.empty()) return "tls has a key but no cert";
  return {};
}

void Tls::describe(config::Fields<Tls>& f) {
  f.field("ca", &Tls::ca)
      .doc("Certificates of the authorities that the broker's certificate may come from; default: the system's.")
      .watched();
  f.field("cert", &Tls::cert).doc("This client's certificate, with its chain.").watched();
  f.field("key", &Tls::key).doc("The private key of `cert`, where it is not in the same file.").watched();
}

}  // namespace millrace::mqtt
