#pragma once

#include <string>
#include <vector>

#include "runner/http/message.h"

namespace millrace::http {

/// Which pages may use a path that carries data. Browsers do not apply CORS to WebSockets, so this is asked on every upgrade.
class Origins {
 public:
  Origins() = default;

  /// `allowed`: exact origins, such as "https://plant.example:8443". There is no wildcard.
  explicit Origins(std::vector<std::string> allowed) : allowed_(std::move(allowed)) {}

  /// True without an Origin (no browser), for the page's own origin, and for those on the list; "null" never. On a loopback
  /// listener the own origin counts only under a loopback name, so that a name that an attacker points at 127.0.0.1 gains
  /// nothing.
  bool allow(const Request& request) const;

  /// The CORS headers for an allowed request; none without an Origin.
  std::vector<Header> headers(const Request& request) const;

  /// The answer to a preflight (OPTIONS).
  Response preflight(const Request& request) const;

  friend bool operator==(const Origins&, const Origins&) = default;

 private:
  std::vector<std::string> allowed_;
};

}  // namespace millrace::http
