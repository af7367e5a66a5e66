#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/encoded.h"
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
  std::uint64_t sequence = 0;        ///< sequenceId of an ack or sequence
};

/// Whether stateful reconnect numbers messages of this type.
constexpr bool is_numbered(MessageType type) { return type <= MessageType::cancel_invocation; }

/// What carries hub messages to a client: it decides the framing, which is part of the frames that clients share.
enum class Framing {
  websocket,     ///< RFC 6455
  event_stream,  ///< Server-Sent Events
  body,          ///< as they are, in the bodies of HTTP answers
};

/// Where the first message in some bytes ends.
struct Cut {
  std::size_t size = 0;     ///< of the message, its delimiter or prefix included; 0: it is not complete
  std::size_t payload = 0;  ///< of the message without those; of an incomplete one, as much as is known of it
};

/// How hub messages look on the wire. Stateless; one object serves all
/// connections that share a protocol and a framing. What a pipeline publishes comes encoded
/// already; what methods return comes as a value, its binary parts being bytes or timestamps (see messagepack.h), which JSON
/// writes as base64 and ISO 8601. append_... add whole hub messages to `out`; what is to go out as one unit is then framed
/// with append_framed.
class Protocol {
 public:
  virtual ~Protocol() = default;

  virtual std::string_view name() const = 0;

  virtual Cut cut(std::string_view bytes) const = 0;

  /// Decodes one message as cut() found it. Nothing for a type that it does not know; an error for what is malformed.
  virtual Result<std::optional<Message>> parse(std::string_view message) const = 0;

  /// Frames `messages` as one WebSocket message, event or piece of a body.
  virtual void append_framed(std::string& out, std::string_view messages) const = 0;

  /// With an `id` the client is to answer with a completion; without, it is empty.
  virtual void append_invocation(std::string& out, std::string_view id, std::string_view target,
                                 const nlohmann::json& arguments) const = 0;

  virtual void append_stream_item(std::string& out, std::string_view invocation, const nlohmann::json& item) const = 0;
  virtual void append_stream_item(std::string& out, std::string_view invocation, Encoded item) const = 0;

  /// `result` is null for a method that has none.
  virtual void append_completion(std::string& out, std::string_view invocation, const nlohmann::json* result) const = 0;

  /// The result is the list of `items`.
  virtual void append_completion(std::string& out, std::string_view invocation, std::span<const Encoded> items) const = 0;

  virtual void append_error(std::string& out, std::string_view invocation, std::string_view error) const = 0;
  virtual void append_ping(std::string& out) const = 0;
  virtual void append_close(std::string& out, std::string_view error, bool allow_reconnect) const = 0;

  /// An ack or a sequence.
  virtual void append_number(std::string& out, MessageType type, std::uint64_t number) const = 0;

  /// Framed: records that go to one target together.
  virtual void append_records(std::string& framed, std::string_view target, std::span<const Encoded> records) const = 0;

  /// Framed: one event.
  virtual void append_event(std::string& framed, std::string_view target, Encoded event) const = 0;
};

/// HubProtocol.md, JSON encoding.
const Protocol& json_protocol(Framing framing = Framing::websocket);

/// HubProtocol.md, MessagePack encoding, which events cannot carry.
const Protocol& messagepack_protocol(Framing framing = Framing::websocket);

/// No hub protocol: each record or event is a WebSocket message of its own, a JSON line with "target" beside its members. What
/// the client sends is ignored.
const Protocol& plain_protocol();

/// Ends each message in the JSON protocol, and the handshake in any.
inline constexpr char record_separator = '\x1E';

/// Parses JSON that nests no deeper than `depth`; a discarded value if it cannot.
nlohmann::json parse_json(std::string_view text, std::size_t depth = 64);

}  // namespace millrace::signalr
