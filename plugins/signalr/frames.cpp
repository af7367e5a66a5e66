#include "plugins/signalr/frames.h"

#include "plugins/signalr/messagepack.h"
#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

/// A call with one argument, which is JSON text.
void append_text(Frame& frame, const Protocol& protocol, std::string_view target, std::string_view text) {
  std::string json, packed;
  append_json_string(json, text);
  messagepack::append_string(packed, text);
  protocol.append_event(frame.bytes, target, {json, packed});
  ++frame.messages;
}

}  // namespace

void append_shaped(Frame& frame, const Protocol& protocol, std::string_view target, Shape shape,
                   std::span<const Encoded> records) {
  if (&protocol == &plain_protocol()) shape = Shape::list;
  switch (shape) {
    case Shape::list:
      protocol.append_records(frame.bytes, target, records);
      ++frame.messages;
      return;
    case Shape::object:
      for (const Encoded& record : records) protocol.append_event(frame.bytes, target, record);
      frame.messages += static_cast<std::uint32_t>(records.size());
      return;
    case Shape::text:
      for (const Encoded& record : records) append_text(frame, protocol, target, record.json);
      return;
    case Shape::list_text: {
      std::string list = "[";
      for (const Encoded& record : records) {
        if (list.size() > 1) list += ',';
        list += record.json;
      }
      return append_text(frame, protocol, target, list + ']');
    }
  }
}

SharedFrame call_frame(const Protocol& protocol, std::string_view target, const nlohmann::json& arguments) {
  auto frame = std::make_shared<Frame>();
  frame->messages = 1;
  if (&protocol == &plain_protocol()) {
    std::string line = nlohmann::json{{"arguments", arguments}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    protocol.append_event(frame->bytes, target, {line, {}});
    return frame;
  }
  std::string message;
  protocol.append_invocation(message, {}, target, arguments);
  protocol.append_framed(frame->bytes, message);
  return frame;
}

SharedFrame framed(const Protocol& protocol, std::string_view messages, std::uint32_t numbered) {
  auto frame = std::make_shared<Frame>();
  protocol.append_framed(frame->bytes, messages);
  frame->messages = numbered;
  return frame;
}

SharedFrame number_frame(const Protocol& protocol, MessageType type, std::uint64_t number) {
  std::string message;
  protocol.append_number(message, type, number);
  return framed(protocol, message);
}

}  // namespace millrace::signalr
