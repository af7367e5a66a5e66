#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runner/stage/error.h"

namespace millrace::http {

/// Where a listener binds: a numeric address, or "localhost", and a port; port 0 lets the system choose.
struct Address {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;

  /// Reachable from this machine alone.
  bool loopback() const;

  /// As a person writes it: "127.0.0.1:8080", "[::1]:8080".
  std::string text() const;

  friend bool operator==(const Address&, const Address&) = default;
};

/// Reads "127.0.0.1:8080", "[::1]:0", "localhost:8080", ":8080" (all addresses) or "8080" (loopback). A host name other than
/// localhost is refused: a listener binds an address, not what a name server says.
Result<Address> parse_address(std::string_view text);

}  // namespace millrace::http
