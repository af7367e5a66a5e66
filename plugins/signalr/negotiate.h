#pragma once

#include <string>

#include "runner/http/message.h"

namespace millrace::signalr {

/// 16 bytes of the system's random source, base64url: ids that nobody guesses.
std::string random_id();

struct Negotiation {
  int version = 0;
  bool stateful = false;          ///< asks for stateful reconnect
  std::string error;              ///< for the client; empty if it may go on
  std::string access_token = {};  ///< for the client to connect with; empty: none is needed
};

/// Reads negotiateVersion of a request. A pure function.
Negotiation read_negotiation(const http::Request& request);

/// How clients may connect.
struct Transports {
  bool websockets = true;
  bool server_sent_events = true;
  bool long_polling = true;

  friend bool operator==(const Transports&, const Transports&) = default;
};

/// The body that offers what there is, stateful reconnect where `negotiation` says so. `token` is left out in version 0, where
/// the id serves as token.
std::string negotiation_body(const Negotiation& negotiation, const std::string& id, const std::string& token,
                             const Transports& transports = {});

}  // namespace millrace::signalr
