#pragma once

#include <functional>

#include "runner/stage/alert_desks.h"

namespace millrace::signalr {

class Hub;

/// Millrace's own methods on a hub. `Subscribe(...)` and `Unsubscribe(...)` take device ids or groups ("device:<id>"), each as
/// an argument of its own or in lists; after the first Subscribe of a device a connection gets only those that it has named.
/// Groups that are no device's are named `{"group": name}`. `Latest(...)`
/// returns the newest record of each series, of the devices named or of all. `Renew(token)` lets the connection outlast the
/// token that it came with, and returns the new end in milliseconds since the epoch. `Presence(group?)` returns who is here, as
/// {"connections", "users": [{"user", "connections"}]}. History and Recover are in recovery.h.
void add_telemetry_methods(Hub& hub);

/// Acknowledges, and calls `done` once, on any thread.
using Acknowledge = std::function<void(Seen, std::function<void(Result<void>)> done)>;

/// `AckAlert(key, rule?)`, or with the alert itself: somebody has seen it. For clients with the right `ack`.
void add_alert_methods(Hub& hub, Acknowledge acknowledge);

}  // namespace millrace::signalr
