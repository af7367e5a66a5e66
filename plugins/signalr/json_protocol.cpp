#include <fmt/core.h>

#include "plugins/signalr/protocol.h"
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
    case MessageType::ping:
    case MessageType::ack:
    case MessageType::sequence: return;
  }
}

class JsonProtocol final : public Protocol {
 public:
  std::string_view name() const override { return "json"; }

  std::size_t message_size(std::string_view bytes) const override {
    auto end = bytes.find(record_separator);
    return end == std::string_view::npos ? 0 : end + 1;
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
    http::websocket::append_frame(out, http::websocket::Opcode::text, messages);
  }

  void append_invocation(std::string& out, std::string_view target, std::string_view arguments) const override {
    out += R"({"type":1,"target":)";
    append_json_string(out, target);
    out += R"(,"arguments":)";
    out += arguments;
    end(out);
  }

  void append_completion(std::string& out, std::string_view invocation, std::string_view result) const override {
    out += R"({"type":3,"invocationId":)";
    append_json_string(out, invocation);
    if (!result.empty()) {
      out += R"(,"result":)";
      out += result;
    }
    end(out);
  }

  void append_error(std::string& out, std::string_view invocation, std::string_view error) const override {
    out += R"({"type":3,"invocationId":)";
    append_json_string(out, invocation);
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

  void append_records(std::string& framed, std::string_view target, std::span<const std::string_view> records) const override {
    std::string list = "[[";
    for (std::string_view record : records) {
      if (list.size() > 2) list += ',';
      list += record;
    }
    list += "]]";
    append_framed_invocation(framed, target, list);
  }

  void append_event(std::string& framed, std::string_view target, std::string_view event) const override {
    append_framed_invocation(framed, target, fmt::format("[{}]", event));
  }

 private:
  static void end(std::string& out) {
    out += '}';
    out += record_separator;
  }

  void append_framed_invocation(std::string& framed, std::string_view target, std::string_view arguments) const {
    std::string message;
    message.reserve(arguments.size() + target.size() + 64);
    append_invocation(message, target, arguments);
    append_framed(framed, message);
  }
};

class PlainProtocol final : public Protocol {
 public:
  std::string_view name() const override { return "plain"; }
  std::size_t message_size(std::string_view bytes) const override { return bytes.size(); }
  Result<std::optional<Message>> parse(std::string_view) const override { return std::optional<Message>{}; }
  void append_framed(std::string&, std::string_view) const override {}
  void append_invocation(std::string&, std::string_view, std::string_view) const override {}
  void append_completion(std::string&, std::string_view, std::string_view) const override {}
  void append_error(std::string&, std::string_view, std::string_view) const override {}
  void append_ping(std::string&) const override {}
  void append_close(std::string&, std::string_view, bool) const override {}

  void append_records(std::string& framed, std::string_view target, std::span<const std::string_view> records) const override {
    for (std::string_view record : records) append_event(framed, target, record);
  }

  void append_event(std::string& framed, std::string_view target, std::string_view event) const override {
    std::string line = R"({"target":)";
    append_json_string(line, target);
    line += event == "{}" ? "" : ",";
    line += event.substr(1);
    line += '\n';
    http::websocket::append_frame(framed, http::websocket::Opcode::text, line);
  }
};

}  // namespace

nlohmann::json parse_json(std::string_view text, std::size_t depth) {
  if (!is_shallow(text, depth)) return json(json::value_t::discarded);
  return json::parse(text.begin(), text.end(), nullptr, false);
}

const Protocol& json_protocol() {
  static const JsonProtocol protocol;
  return protocol;
}

const Protocol& plain_protocol() {
  static const PlainProtocol protocol;
  return protocol;
}

}  // namespace millrace::signalr
