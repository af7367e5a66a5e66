#pragma once

namespace millrace::signalr {

class Hub;

/// Millrace's own methods on a hub. `Subscribe(...)` and `Unsubscribe(...)` take device ids or groups ("device:<id>"), each as
/// an argument of its own or in lists; after the first Subscribe a connection gets only what it has named. `Latest(...)`
/// returns the newest record of each series, of the devices named or of all.
void add_telemetry_methods(Hub& hub);

}  // namespace millrace::signalr
