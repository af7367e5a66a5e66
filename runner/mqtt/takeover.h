#pragma once

#include <optional>

#include "runner/mqtt/broker.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::mqtt {

/// Recognises that another client goes by the same client_id. The broker ends the connection of the one when the other connects
/// (MQTT 3.1.1, MQTT-3.1.4-2), and MQTT 3.1.1 gives no reason; what shows is that connections are made well and end soon after,
/// time and again. One thread at a time.
class TakeoverSign {
 public:
  /// A connection that has held for so long was nobody else's to take.
  static constexpr Duration lasting{60s};

  /// So many connections in a row that did not last are no chance.
  static constexpr int many = 3;

  /// A connection was made.
  void connected(Time now) { since_ = now; }

  /// Why a connection to the broker is no more, with the cause that its history suggests. To be called once a connection;
  /// without one it counts nothing.
  Error lost(Time now, const Broker& broker);

 private:
  std::optional<Time> since_;
  int short_lived_ = 0;
};

}  // namespace millrace::mqtt
