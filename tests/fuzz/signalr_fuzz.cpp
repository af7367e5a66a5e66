#include <cstdint>
#include <string>
#include <string_view>

#include "broken.h"
#include "plugins/signalr/handshake.h"
#include "plugins/signalr/negotiate.h"
#include "plugins/signalr/protocol.h"

// Promises of what reads a client's bytes: messages are cut where their separators are; a message that is read has what its
// type requires; whatever comes, the answer is a well-formed handshake response, and negotiation a JSON body.

namespace {

using namespace millrace::signalr;
using millrace::fuzz::broken;

void check_messages(std::string_view text) {
  const Protocol& json = json_protocol();
  for (std::string_view rest = text; !rest.empty();) {
    std::size_t size = json.cut(rest).size;
    if (size == 0) {
      if (rest.find(record_separator) != std::string_view::npos) broken("a separator ends a message", text);
      return;
    }
    auto message = json.parse(rest.substr(0, size));
    if (message && *message) {
      bool call = (*message)->type == MessageType::invocation || (*message)->type == MessageType::stream_invocation;
      if (call && !(*message)->arguments.is_array()) broken("a call has a list of arguments", text);
      if ((*message)->type == MessageType::stream_invocation && !(*message)->invocation) broken("a stream has an id", text);
    } else if (!message && message.error().what.empty()) {
      broken("a refusal has a reason", text);
    }
    rest.remove_prefix(size);
  }
}

void check_handshake(std::string_view text) {
  Handshake handshake = read_handshake(text);
  std::string response = handshake.response();
  if (response.back() != record_separator) broken("a response ends with the separator", text);
  response.pop_back();
  // Names that the client chose may hold anything that JSON can carry.
  if (!nlohmann::json::accept(response)) broken("a response is JSON", text);
  if ((handshake.protocol == nullptr) != !handshake.error.empty()) broken("refused with a reason or accepted", text);
}

void check_negotiation(std::string_view text) {
  millrace::http::Request request{.method = "POST", .path = "/hub/negotiate", .query = std::string(text)};
  auto negotiation = read_negotiation(request);
  if (negotiation.version < 0 || negotiation.version > 1) broken("version 0 or 1", text);
  auto body = negotiation_body(negotiation, "id", "token");
  if (!nlohmann::json::accept(body)) broken("the body is JSON", text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check_messages(text);
  check_handshake(text);
  check_negotiation(text);
  return 0;
}
