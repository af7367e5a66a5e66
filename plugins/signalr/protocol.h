#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runner/http/websocket.h"
#include "runner/stage/error.h"

namespace millrace::signalr {

/// Numbers of HubProtocol.md.
enum class MessageType {
  invocation = 1,
  stream_item = 2,
  completion = 3,
  stream_invocation = 4,
  cancel_invocation = 5,
  ping = 6,
  close = 7,
  ack = 8,
  sequence = 9,
};

/// One message from a client. Members that its type lacks are empty.
struct Message {
  MessageType type = MessageType::ping;
  std::optional<std::string> invocation;  ///< invocationId
  std::string target;
  nlohmann::json arguments = nlohmann::json::array();
  nlohmann::json item;               ///< of a stream_item, or a completion's result
  std::optional<std::string> error;  ///< of a completion or close
  std::vector<std::string> streams;  ///< streamIds
};

/// How hub messages look on the wire. Stateless; one object serves all connections. What a pipeline publishes comes as JSON
/// texts, its canonical form, which another encoding transcodes once for all its clients. append_... add whole hub messages to
/// `out`; what is to go out as one WebSocket message is then framed with append_framed.
class Protocol {
 public:
  virtual ~Protocol() = default;

  virtual std::string_view name() const = 0;

  /// The length of the first complete message in `bytes`, its delimiter or prefix included; 0 if it is not complete.
  virtual std::size_t message_size(std::string_view bytes) const = 0;

  /// Decodes one message, without delimiter or prefix checks left to do. Nothing for a type that it does not know; an error for
  /// what is malformed.
  virtual Result<std::optional<Message>> parse(std::string_view message) const = 0;

  /// Frames `messages` for a WebSocket.
  virtual void append_framed(std::string& out, std::string_view messages) const = 0;

  virtual void append_invocation(std::string& out, std::string_view target, std::string_view arguments_json) const = 0;
  virtual void append_completion(std::string& out, std::string_view invocation, std::string_view result_json) const = 0;
  virtual void append_error(std::string& out, std::string_view invocation, std::string_view error) const = 0;
  virtual void append_ping(std::string& out) const = 0;
  virtual void append_close(std::string& out, std::string_view error, bool allow_reconnect) const = 0;

  /// Framed: records that go to one target together.
  virtual void append_records(std::string& framed, std::string_view target,
                              std::span<const std::string_view> records) const = 0;

  /// Framed: one event.
  virtual void append_event(std::string& framed, std::string_view target, std::string_view json) const = 0;
};

/// HubProtocol.md, JSON encoding.
const Protocol& json_protocol();

/// No hub protocol: each record or event is a WebSocket message of its own, a JSON line with "target" beside its members. What
/// the client sends is ignored.
const Protocol& plain_protocol();

/// Ends each message in the JSON protocol, and the handshake in any.
inline constexpr char record_separator = '\x1E';

/// Parses JSON that nests no deeper than `depth`; a discarded value if it cannot.
nlohmann::json parse_json(std::string_view text, std::size_t depth = 64);

}  // namespace millrace::signalr
