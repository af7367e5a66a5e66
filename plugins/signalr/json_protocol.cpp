#include <fmt/core.h>

#include <array>
#include <utility>

#include "plugins/signalr/messagepack.h"
#include "plugins/signalr/protocol.h"
#include "runner/http/websocket.h"
#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

/// Whether brackets outside of texts nest no deeper than `depth`, so that a recursive reader of the value is safe.
bool is_shallow(std::string_view text, std::size_t depth) {
  std::size_t open = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
      continue;
    }
    if (c == '"') in_text = true;
    if ((c == '{' || c == '[') && ++open > depth) return false;
    if ((c == '}' || c == ']') && open > 0) --open;
  }
  return true;
}

Error malformed(std::string_view what) { return rejected(std::string(what)); }

/// A value of a hub method as JSON: bytes as base64, timestamps in ISO 8601.
void append_json(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::object: {
      out += '{';
      for (bool first = true; const auto& [name, item] : value.items()) {
        if (!std::exchange(first, false)) out += ',';
        append_json_string(out, name);
        out += ':';
        append_json(out, item);
      }
      out += '}';
      return;
    }
    case json::value_t::array: {
      out += '[';
      for (bool first = true; const json& item : value) {
        if (!std::exchange(first, false)) out += ',';
        append_json(out, item);
      }
      out += ']';
      return;
    }
    case json::value_t::binary: {
      const auto& binary = value.get_binary();
      if (binary.has_subtype() && binary.subtype() == messagepack::timestamp) {
        if (auto time = messagepack::timestamp_text(binary)) return append_json_string(out, *time);
      }
      return millrace::append_json(out, Value::bytes({reinterpret_cast<const char*>(binary.data()), binary.size()}));
    }
    default: out += value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

/// Members of one message as they are read, and what is wrong with the first that is.
struct Reader {
  const json& object;
  std::string wrong = {};

  void complain(std::string_view name, std::string_view expected) {
    if (wrong.empty()) wrong = fmt::format("Expected '{}' to be {}.", name, expected);
  }

  std::optional<std::string> text(const char* name, bool required) {
    auto found = object.find(name);
    if (found != object.end() && found->is_string()) return found->get<std::string>();
    bool absent = found == object.end() || found->is_null();
    if (!absent || required) complain(name, "a text");
    return std::nullopt;
  }

  void arguments(Message& message) {
    auto found = object.find("arguments");
    if (found == object.end() || !found->is_array()) return complain("arguments", "a list");
    message.arguments = *found;
  }

  void streams(Message& message) {
    auto found = object.find("streamIds");
    if (found == object.end() || found->is_null()) return;
    if (!found->is_array()) return complain("streamIds", "a list");
    for (const json& id : *found) {
      if (!id.is_string()) return complain("streamIds", "a list of texts");
      message.streams.push_back(id.get<std::string>());
    }
  }

  void number(Message& message, const char* name) {
    auto found = object.find(name);
    if (found == object.end() || !found->is_number_unsigned()) return complain(name, "a positive integer");
    message.sequence = found->get<std::uint64_t>();
  }

  void item(Message& message, const char* name) {
    if (auto found = object.find(name); found != object.end()) message.item = *found;
  }
};

void read_members(Reader& reader, Message& message) {
  switch (message.type) {
    case MessageType::invocation:
    case MessageType::stream_invocation:
      message.target = reader.text("target", true).value_or("");
      message.invocation = reader.text("invocationId", message.type == MessageType::stream_invocation);
      reader.arguments(message);
      reader.streams(message);
      return;
    case MessageType::stream_item: message.invocation = reader.text("invocationId", true); return reader.item(message, "item");
    case MessageType::completion:
      message.invocation = reader.text("invocationId", true);
      message.error = reader.text("error", false);
      return reader.item(message, "result");
    case MessageType::cancel_invocation: message.invocation = reader.text("invocationId", true); return;
    case MessageType::close: message.error = reader.text("error", false); return;
    case MessageType::ack:
    case MessageType::sequence: return reader.number(message, "sequenceId");
    case MessageType::ping: return;
  }
}

/// One event: each line of its text in a data line of its own.
void append_text_event(std::string& out, std::string_view text) {
  while (true) {
    auto end = text.find('\n');
    out += "data: ";
    out += text.substr(0, end);
    out += "\r\n";
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  out += "\r\n";
}

class JsonProtocol final : public Protocol {
 public:
  explicit JsonProtocol(Framing framing) : framing_(framing) {}

  std::string_view name() const override { return "json"; }

  Cut cut(std::string_view bytes) const override {
    auto end = bytes.find(record_separator);
    return end == std::string_view::npos ? Cut{.payload = bytes.size()} : Cut{.size = end + 1, .payload = end};
  }

  Result<std::optional<Message>> parse(std::string_view text) const override {
    if (text.ends_with(record_separator)) text.remove_suffix(1);
    json object = parse_json(text);
    if (object.is_discarded() || !object.is_object()) return malformed("A message is not a JSON object.");
    auto type = object.find("type");
    if (type == object.end() || !type->is_number_integer()) return malformed("Expected 'type' to be an integer.");
    auto number = type->get<std::int64_t>();
    if (number < 1 || number > 9) return std::optional<Message>{};
    Message message{.type = static_cast<MessageType>(number)};
    Reader reader{object};
    read_members(reader, message);
    if (!reader.wrong.empty()) return malformed(reader.wrong);
    return std::optional(std::move(message));
  }

  void append_framed(std::string& out, std::string_view messages) const override {
    switch (framing_) {
      case Framing::websocket: return http::websocket::append_frame(out, http::websocket::Opcode::text, messages);
      case Framing::event_stream: return append_text_event(out, messages);
      case Framing::body: out += messages;
    }
  }

  void append_invocation(std::string& out, std::string_view id, std::string_view target, const json& arguments) const override {
    begin_invocation(out, target, id);
    append_json(out, arguments);
    end(out);
  }

  void append_stream_item(std::string& out, std::string_view invocation, const json& item) const override {
    begin(out, MessageType::stream_item, invocation);
    out += R"(,"item":)";
    append_json(out, item);
    end(out);
  }

  void append_stream_item(std::string& out, std::string_view invocation, Encoded item) const override {
    begin(out, MessageType::stream_item, invocation);
    out += R"(,"item":)";
    out += item.json;
    end(out);
  }

  void append_completion(std::string& out, std::string_view invocation, const json* result) const override {
    begin(out, MessageType::completion, invocation);
    if (result) {
      out += R"(,"result":)";
      append_json(out, *result);
    }
    end(out);
  }

  void append_completion(std::string& out, std::string_view invocation, std::span<const Encoded> items) const override {
    begin(out, MessageType::completion, invocation);
    out += R"(,"result":)";
    append_list(out, items);
    end(out);
  }

  void append_error(std::string& out, std::string_view invocation, std::string_view error) const override {
    begin(out, MessageType::completion, invocation);
    out += R"(,"error":)";
    append_json_string(out, error);
    end(out);
  }

  void append_ping(std::string& out) const override {
    out += R"({"type":6)";
    end(out);
  }

  void append_close(std::string& out, std::string_view error, bool allow_reconnect) const override {
    out += R"({"type":7)";
    if (!error.empty()) {
      out += R"(,"error":)";
      append_json_string(out, error);
    }
    if (allow_reconnect) out += R"(,"allowReconnect":true)";
    end(out);
  }

  void append_number(std::string& out, MessageType type, std::uint64_t number) const override {
    out += fmt::format(R"({{"type":{},"sequenceId":{})", static_cast<int>(type), number);
    end(out);
  }

  void append_records(std::string& framed, std::string_view target, std::span<const Encoded> records) const override {
    std::size_t size = target.size() + 64;
    for (const Encoded& record : records) size += record.json.size() + 1;
    std::string message;
    message.reserve(size);
    begin_invocation(message, target);
    message += '[';
    append_list(message, records);
    message += ']';
    end(message);
    append_framed(framed, message);
  }

  void append_event(std::string& framed, std::string_view target, Encoded event) const override {
    std::string message;
    begin_invocation(message, target);
    append_list(message, std::span(&event, 1));
    end(message);
    append_framed(framed, message);
  }

 private:
  static void begin_invocation(std::string& out, std::string_view target, std::string_view id = {}) {
    out += R"({"type":1,)";
    if (!id.empty()) {
      out += R"("invocationId":)";
      append_json_string(out, id);
      out += ',';
    }
    out += R"("target":)";
    append_json_string(out, target);
    out += R"(,"arguments":)";
  }

  static void begin(std::string& out, MessageType type, std::string_view invocation) {
    out += R"({"type":)";
    out += static_cast<char>('0' + static_cast<int>(type));
    out += R"(,"invocationId":)";
    append_json_string(out, invocation);
  }

  static void append_list(std::string& out, std::span<const Encoded> items) {
    out += '[';
    for (bool first = true; const Encoded& item : items) {
      if (!std::exchange(first, false)) out += ',';
      out += item.json;
    }
    out += ']';
  }

  static void end(std::string& out) {
    out += '}';
    out += record_separator;
  }

  Framing framing_;
};

class PlainProtocol final : public Protocol {
 public:
  std::string_view name() const override { return "plain"; }
  Cut cut(std::string_view bytes) const override { return {.size = bytes.size(), .payload = bytes.size()}; }
  Result<std::optional<Message>> parse(std::string_view) const override { return std::optional<Message>{}; }
  void append_framed(std::string&, std::string_view) const override {}
  void append_invocation(std::string&, std::string_view, std::string_view, const json&) const override {}
  void append_stream_item(std::string&, std::string_view, const json&) const override {}
  void append_stream_item(std::string&, std::string_view, Encoded) const override {}
  void append_completion(std::string&, std::string_view, const json*) const override {}
  void append_completion(std::string&, std::string_view, std::span<const Encoded>) const override {}
  void append_error(std::string&, std::string_view, std::string_view) const override {}
  void append_ping(std::string&) const override {}
  void append_close(std::string&, std::string_view, bool) const override {}
  void append_number(std::string&, MessageType, std::uint64_t) const override {}

  void append_records(std::string& framed, std::string_view target, std::span<const Encoded> records) const override {
    for (const Encoded& record : records) append_event(framed, target, record);
  }

  void append_event(std::string& framed, std::string_view target, Encoded event) const override {
    std::string line = R"({"target":)";
    append_json_string(line, target);
    line += event.json == "{}" ? "" : ",";
    line += event.json.substr(1);
    line += '\n';
    http::websocket::append_frame(framed, http::websocket::Opcode::text, line);
  }
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::size_t depth) {
  if (!is_shallow(text, depth)) return json(json::value_t::discarded);
  return json::parse(text.begin(), text.end(), nullptr, false);
}

const Protocol& json_protocol(Framing framing) {
  static const std::array protocols{JsonProtocol(Framing::websocket), JsonProtocol(Framing::event_stream),
                                    JsonProtocol(Framing::body)};
  return protocols[static_cast<std::size_t>(framing)];
}

const Protocol& plain_protocol() {
  static const PlainProtocol protocol;
  return protocol;
}

}  // namespace millrace::signalr
