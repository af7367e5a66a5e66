#include <cstdint>
#include <string>
#include <string_view>

#include "broken.h"
#include "plugins/signalr/messagepack.h"
#include "plugins/signalr/protocol.h"

// Promises of what reads a client's MessagePack: messages are cut where their lengths say; a message that is read has what its
// type requires; a value that is read can be written and is read again the same; a refusal has a reason.

namespace {

using namespace millrace::signalr;
using millrace::fuzz::broken;

void check_messages(std::string_view bytes) {
  const Protocol& protocol = messagepack_protocol();
  for (std::string_view rest = bytes; !rest.empty();) {
    Cut cut = protocol.cut(rest);
    if (cut.size > rest.size()) broken("a message is cut from what there is", bytes);
    if (cut.size == 0) return;
    auto message = protocol.parse(rest.substr(0, cut.size));
    if (message && *message) {
      bool call = (*message)->type == MessageType::invocation || (*message)->type == MessageType::stream_invocation;
      if (call && !(*message)->arguments.is_array()) broken("a call has a list of arguments", bytes);
      if ((*message)->type == MessageType::stream_invocation && !(*message)->invocation) broken("a stream has an id", bytes);
    } else if (!message && message.error().what.empty()) {
      broken("a refusal has a reason", bytes);
    }
    rest.remove_prefix(cut.size);
  }
}

void check_value(std::string_view bytes) {
  auto value = messagepack::read(bytes);
  if (!value) return;
  std::string written, again;
  messagepack::append(written, *value);
  auto read = messagepack::read(written);
  if (!read) broken("what was written can be read", bytes);
  messagepack::append(again, *read);
  if (again != written) broken("what was written is read as it was", bytes);
  std::string json;
  json_protocol().append_completion(json, "1", &*value);
  json.pop_back();
  if (!nlohmann::json::accept(json)) broken("any value can be written as JSON", bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_messages(bytes);
  check_value(bytes);
  return 0;
}
