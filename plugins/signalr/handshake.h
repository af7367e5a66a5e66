#pragma once

#include <string>
#include <string_view>

#include "plugins/signalr/protocol.h"

namespace millrace::signalr {

/// What a client's first message has asked for, or why it cannot have it.
struct Handshake {
  const Protocol* protocol = nullptr;  ///< null: refused
  int version = 1;                     ///< 2 only with stateful reconnect
  std::string error;                   ///< for the client, as ASP.NET Core words it

  /// The answer, with its separator: `{}` or `{"error":...}`.
  std::string response() const;
};

/// Reads `{"protocol":"json","version":1}`, without the separator, on a connection of this framing. A pure function.
Handshake read_handshake(std::string_view text, Framing framing = Framing::websocket);

/// The answer to a handshake that took too long or is too long.
Handshake cancelled_handshake();

}  // namespace millrace::signalr
