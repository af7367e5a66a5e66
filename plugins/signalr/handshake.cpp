#include "plugins/signalr/handshake.h"

#include <fmt/core.h>

#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

Handshake refuse(std::string error) { return {.error = std::move(error)}; }

Handshake malformed(std::string_view detail) {
  return refuse(fmt::format("An unexpected error occurred during connection handshake. {}", detail));
}

}  // namespace

std::string Handshake::response() const {
  std::string text = "{";
  if (!protocol) {
    text += R"("error":)";
    append_json_string(text, error);
  }
  text += '}';
  text += record_separator;
  return text;
}

Handshake read_handshake(std::string_view text, Framing framing) {
  nlohmann::json object = parse_json(text);
  if (object.is_discarded() || !object.is_object()) return malformed("The request is not a JSON object.");
  auto protocol = object.find("protocol");
  auto version = object.find("version");
  if (protocol == object.end() || !protocol->is_string()) return malformed("Expected 'protocol' to be a text.");
  if (version == object.end() || !version->is_number_integer()) return malformed("Expected 'version' to be an integer.");

  auto name = protocol->get<std::string>();
  auto number = version->get<std::int64_t>();
  bool binary = name == messagepack_protocol().name();
  if (!binary && name != json_protocol().name()) return refuse(fmt::format("The protocol '{}' is not supported.", name));
  if (binary && framing == Framing::event_stream)
    return refuse(
        fmt::format("Cannot use the '{}' protocol on the current transport. The transport does not support 'Binary' "
                    "transfer format.",
                    name));
  if (number < 1 || number > 2)
    return refuse(fmt::format("The server does not support version {} of the '{}' protocol.", version->dump(), name));
  return {.protocol = binary ? &messagepack_protocol(framing) : &json_protocol(framing), .version = static_cast<int>(number)};
}

Handshake cancelled_handshake() { return refuse("Handshake was canceled."); }

}  // namespace millrace::signalr
