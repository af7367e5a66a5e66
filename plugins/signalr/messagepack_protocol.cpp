#include <cassert>

#include "plugins/signalr/messagepack.h"
#include "plugins/signalr/protocol.h"
#include "runner/http/websocket.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

Error malformed(std::string_view what) { return rejected(std::string(what)); }

/// Kinds of a Completion.
constexpr std::int64_t with_error = 1;
constexpr std::int64_t without_result = 2;
constexpr std::int64_t with_result = 3;

/// The places of one message's list as they are read, and what is wrong with the first that is. Places beyond those of the type
/// are ignored, as are headers.
struct Reader {
  json& list;
  std::string wrong = {};

  void complain(std::string_view expected) {
    if (wrong.empty()) wrong = std::string("Expected ").append(expected).append(" in a message.");
  }

  json* at(std::size_t place) { return place < list.size() ? &list[place] : nullptr; }

  std::optional<std::string> text(std::size_t place, bool required, std::string_view expected) {
    json* found = at(place);
    if (found && found->is_string()) return std::move(found->get_ref<std::string&>());
    if (required || (found && !found->is_null())) complain(expected);
    return std::nullopt;
  }

  void item(Message& message, std::size_t place, std::string_view expected) {
    if (json* found = at(place)) {
      message.item = std::move(*found);
    } else {
      complain(expected);
    }
  }

  void call(Message& message) {
    message.invocation = text(2, message.type == MessageType::stream_invocation, "an invocation id");
    message.target = text(3, true, "the target as a text").value_or("");
    json* arguments = at(4);
    if (!arguments || !arguments->is_array()) return complain("the arguments as a list");
    message.arguments = std::move(*arguments);
    json* streams = at(5);
    if (!streams || streams->is_null()) return;
    if (!streams->is_array()) return complain("the stream ids as a list");
    for (json& id : *streams) {
      if (!id.is_string()) return complain("the stream ids as texts");
      message.streams.push_back(std::move(id.get_ref<std::string&>()));
    }
  }

  void number(Message& message) {
    json* found = at(1);
    if (!found || !found->is_number_integer() || found->get<std::int64_t>() < 0) return complain("the sequence id as a number");
    message.sequence = found->get<std::uint64_t>();
  }

  void completion(Message& message) {
    message.invocation = text(2, true, "an invocation id");
    json* kind = at(3);
    if (!kind || !kind->is_number_integer()) return complain("the kind of a completion");
    switch (kind->get<std::int64_t>()) {
      case with_error: message.error = text(4, true, "the error as a text"); return;
      case without_result: return;
      case with_result: return item(message, 4, "a result");
      default: complain("a kind of completion that exists");
    }
  }

  void read(Message& message) {
    switch (message.type) {
      case MessageType::invocation:
      case MessageType::stream_invocation: return call(message);
      case MessageType::stream_item: message.invocation = text(2, true, "an invocation id"); return item(message, 3, "an item");
      case MessageType::completion: return completion(message);
      case MessageType::cancel_invocation: message.invocation = text(2, true, "an invocation id"); return;
      case MessageType::close: message.error = text(1, false, "the error as a text"); return;
      case MessageType::ack:
      case MessageType::sequence: return number(message);
      case MessageType::ping: return;
    }
  }
};

class MessagePackProtocol final : public Protocol {
 public:
  explicit MessagePackProtocol(Framing framing) : framing_(framing) {}

  std::string_view name() const override { return "messagepack"; }

  Cut cut(std::string_view bytes) const override {
    auto length = messagepack::read_length(bytes);
    if (length.malformed) return {.size = bytes.size(), .payload = 0};  // parse() says so
    std::size_t size = length.prefix + length.value;
    if (length.prefix == 0 || bytes.size() < size) return {.payload = length.value};
    return {.size = size, .payload = length.value};
  }

  Result<std::optional<Message>> parse(std::string_view bytes) const override {
    auto length = messagepack::read_length(bytes);
    if (length.malformed || bytes.size() != length.prefix + length.value) return malformed("A message has no valid length.");
    auto list = messagepack::read(bytes.substr(length.prefix));
    if (!list) return list.error();
    if (!list->is_array() || list->empty()) return malformed("A message is not a MessagePack list.");
    const json& type = list->front();
    if (!type.is_number_integer()) return malformed("Expected a message to begin with its type.");
    auto number = type.get<std::int64_t>();
    if (number < 1 || number > 9) return std::optional<Message>{};
    Message message{.type = static_cast<MessageType>(number)};
    Reader reader{*list};
    reader.read(message);
    if (!reader.wrong.empty()) return malformed(reader.wrong);
    return std::optional(std::move(message));
  }

  void append_framed(std::string& out, std::string_view messages) const override {
    if (framing_ == Framing::websocket) return http::websocket::append_frame(out, http::websocket::Opcode::binary, messages);
    out += messages;
  }

  void append_invocation(std::string& out, std::string_view id, std::string_view target, const json& arguments) const override {
    std::string body = invocation(target, id);
    messagepack::append(body, arguments);
    end_invocation(out, body);
  }

  void append_stream_item(std::string& out, std::string_view id, const json& item) const override {
    std::string body = begin(4, MessageType::stream_item);
    messagepack::append_map_header(body, 0);
    messagepack::append_string(body, id);
    messagepack::append(body, item);
    append_message(out, body);
  }

  void append_stream_item(std::string& out, std::string_view id, Encoded item) const override {
    std::string body = begin(4, MessageType::stream_item);
    messagepack::append_map_header(body, 0);
    messagepack::append_string(body, id);
    body += item.messagepack;
    append_message(out, body);
  }

  void append_completion(std::string& out, std::string_view id, const json* result) const override {
    std::string body = completion(id, result ? with_result : without_result);
    if (result) messagepack::append(body, *result);
    append_message(out, body);
  }

  void append_completion(std::string& out, std::string_view id, std::span<const Encoded> items) const override {
    std::string body = completion(id, with_result);
    append_list(body, items);
    append_message(out, body);
  }

  void append_error(std::string& out, std::string_view id, std::string_view error) const override {
    std::string body = completion(id, with_error);
    messagepack::append_string(body, error);
    append_message(out, body);
  }

  void append_ping(std::string& out) const override {
    std::string body = begin(1, MessageType::ping);
    append_message(out, body);
  }

  void append_close(std::string& out, std::string_view error, bool allow_reconnect) const override {
    std::string body = begin(3, MessageType::close);
    if (error.empty()) {
      messagepack::append_nil(body);
    } else {
      messagepack::append_string(body, error);
    }
    messagepack::append_boolean(body, allow_reconnect);
    append_message(out, body);
  }

  void append_number(std::string& out, MessageType type, std::uint64_t number) const override {
    std::string body = begin(2, type);
    messagepack::append_unsigned(body, number);
    append_message(out, body);
  }

  void append_records(std::string& framed, std::string_view target, std::span<const Encoded> records) const override {
    std::string body = invocation(target);
    std::size_t size = body.size() + 16;
    for (const Encoded& record : records) size += record.messagepack.size();
    body.reserve(size);
    messagepack::append_list_header(body, 1);
    append_list(body, records);
    append_framed_invocation(framed, body);
  }

  void append_event(std::string& framed, std::string_view target, Encoded event) const override {
    std::string body = invocation(target);
    append_list(body, std::span(&event, 1));
    append_framed_invocation(framed, body);
  }

 private:
  static std::string begin(std::size_t places, MessageType type) {
    std::string body;
    messagepack::append_list_header(body, places);
    messagepack::append_integer(body, static_cast<std::int64_t>(type));
    return body;
  }

  /// [1, headers, id or nil, target, and then the arguments are due, then end_invocation().
  static std::string invocation(std::string_view target, std::string_view id = {}) {
    std::string body = begin(6, MessageType::invocation);
    messagepack::append_map_header(body, 0);
    if (id.empty()) {
      messagepack::append_nil(body);
    } else {
      messagepack::append_string(body, id);
    }
    messagepack::append_string(body, target);
    return body;
  }

  static void end_invocation(std::string& out, std::string& body) {
    messagepack::append_list_header(body, 0);  // no streams
    append_message(out, body);
  }

  void append_framed_invocation(std::string& framed, std::string& body) const {
    std::string message;
    end_invocation(message, body);
    append_framed(framed, message);
  }

  /// [3, headers, id, kind, and what that kind has.
  static std::string completion(std::string_view id, std::int64_t kind) {
    std::string body = begin(kind == without_result ? 4 : 5, MessageType::completion);
    messagepack::append_map_header(body, 0);
    messagepack::append_string(body, id);
    messagepack::append_integer(body, kind);
    return body;
  }

  static void append_list(std::string& out, std::span<const Encoded> items) {
    messagepack::append_list_header(out, items.size());
    for (const Encoded& item : items) out += item.messagepack;
  }

  static void append_message(std::string& out, std::string_view body) {
    messagepack::append_length(out, body.size());
    out += body;
  }

  Framing framing_;
};

}  // namespace

const Protocol& messagepack_protocol(Framing framing) {
  static const MessagePackProtocol websocket(Framing::websocket), body(Framing::body);
  assert(framing != Framing::event_stream && "the handshake refuses binary messages in events");
  return framing == Framing::websocket ? websocket : body;
}

}  // namespace millrace::signalr
