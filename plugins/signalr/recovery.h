#pragma once

namespace millrace::signalr {

class Hub;

/// Streams with what a client has missed.
///
/// `History(series, from, to)` sends the records of the series `{"device", "fields"?: [names], "target"?}` (or just the device)
/// numbered `from` to `to`, both included; absent or null stand for the first and the newest. Without `fields` it is every
/// series of the device.
///
/// `Recover(epoch, [{"device", "fields": [names], "target"?, "seq"}])` sends to a client that comes back, with the epoch and
/// the last number of each series that it has got, everything newer, also of the series that it does not name; last of all
/// `{"epoch", "recovered"}`, which is true if nothing is missing.
///
/// What is no longer kept is never left out in silence: in its place stands `{"gap": {"from", "to"}, "device", "fields"?,
/// "target", "epoch"}`, `to` null where nobody knows how far it goes.
void add_recovery_methods(Hub& hub);

}  // namespace millrace::signalr
