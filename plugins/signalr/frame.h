#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace millrace::signalr {

/// Bytes that go to any number of clients of one protocol: built once, never changed, queued by reference. A server's WebSocket
/// frames are not masked, so the framing is part of them.
struct Frame {
  std::string bytes;           ///< one or several complete WebSocket frames
  std::uint32_t records = 0;   ///< of the pipeline, for counting
  std::uint32_t messages = 0;  ///< in it, of the types that stateful reconnect numbers; 0: pings, closes, control frames

  /// The places in Latest of the series whose values these are. A client that cannot take such a frame is owed the newest value
  /// of each instead. Empty: must not be conflated.
  std::vector<std::uint32_t> series;
};

using SharedFrame = std::shared_ptr<const Frame>;

}  // namespace millrace::signalr
