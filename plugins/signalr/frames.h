#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "plugins/signalr/audience.h"
#include "plugins/signalr/frame.h"
#include "plugins/signalr/protocol.h"

namespace millrace::signalr {

/// Adds records that go to one target to a frame, as the shape has them. A plain WebSocket takes each as a line of its own,
/// whatever the shape.
void append_shaped(Frame& frame, const Protocol& protocol, std::string_view target, Shape shape,
                   std::span<const Encoded> records);

/// A frame that calls a method of the client; `arguments` is a list. To a plain WebSocket it is a line with "arguments".
SharedFrame call_frame(const Protocol& protocol, std::string_view target, const nlohmann::json& arguments);

/// A frame of messages that are encoded already, so many of which stateful reconnect numbers.
SharedFrame framed(const Protocol& protocol, std::string_view messages, std::uint32_t numbered = 0);

/// A frame with a message that is only a number, as Ack and Sequence are.
SharedFrame number_frame(const Protocol& protocol, MessageType type, std::uint64_t number);

}  // namespace millrace::signalr
