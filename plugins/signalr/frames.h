#pragma once

#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/signalr/audience.h"
#include "plugins/signalr/frame.h"
#include "plugins/signalr/protocol.h"
#include "runner/stage/context.h"

namespace millrace::signalr {

/// Adds records that go to one target to a frame, as the shape has them. A plain WebSocket takes each as a line of its own,
/// whatever the shape.
void append_shaped(Frame& frame, const Protocol& protocol, std::string_view target, Shape shape,
                   std::span<const Encoded> records);

/// A frame that calls a method of the client; `arguments` is a list. To a plain WebSocket it is a line with "arguments".
SharedFrame call_frame(const Protocol& protocol, std::string_view target, const nlohmann::json& arguments);

/// What is made for a protocol when the first client that speaks it is met, and serves the others.
template <class Made>
class OfEachProtocol {
 public:
  /// Valid until the next call.
  template <class Make>
  const Made& of(const Protocol& protocol, Make make) {
    for (const auto& [made_for, made] : made_)
      if (made_for == &protocol) return made;
    return made_.emplace_back(&protocol, make()).second;
  }

 private:
  std::vector<std::pair<const Protocol*, Made>> made_;
};

/// The frames that call a method of clients. What it is made with must outlive it.
class CallFrames {
 public:
  CallFrames(std::string_view target, const nlohmann::json& arguments, Counter& made)
      : target_(target), arguments_(arguments), made_(made) {}

  const SharedFrame& of(const Protocol& protocol) {
    return frames_.of(protocol, [&] {
      made_.add();
      return call_frame(protocol, target_, arguments_);
    });
  }

 private:
  std::string_view target_;
  const nlohmann::json& arguments_;
  Counter& made_;
  OfEachProtocol<SharedFrame> frames_;
};

/// A frame of messages that are encoded already, so many of which stateful reconnect numbers.
SharedFrame framed(const Protocol& protocol, std::string_view messages, std::uint32_t numbered = 0);

/// A frame with a message that is only a number, as Ack and Sequence are.
SharedFrame number_frame(const Protocol& protocol, MessageType type, std::uint64_t number);

}  // namespace millrace::signalr
