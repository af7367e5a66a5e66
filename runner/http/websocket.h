#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runner/http/routes.h"
#include "runner/http/utf8.h"

// A server's side of RFC 6455: the opening handshake, reading a client's frames, making our own. No extensions.
namespace millrace::http::websocket {

enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

/// Section 7.4.1.
enum class CloseCode : std::uint16_t {
  normal = 1000,
  going_away = 1001,
  protocol_error = 1002,
  invalid_text = 1007,
  policy = 1008,
  too_big = 1009,
  internal_error = 1011,
  try_again_later = 1013,
};

/// The answer to a client's Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

/// Answers an upgrade request: takes the connection over, or refuses with the right status and returns null.
std::unique_ptr<Stream> upgrade(const Request& request, Exchange exchange);

/// The header of an unmasked, final frame: 2, 4 or 10 bytes.
void append_header(std::string& out, Opcode opcode, std::size_t payload);

void append_frame(std::string& out, Opcode opcode, std::string_view payload);

/// A Close frame; an over-long reason is cut, and must be ASCII.
std::string close_frame(CloseCode code, std::string_view reason = {});

/// Reads what a client sends, in pieces of any size. Keeps at most a frame header or a control frame: data is handed on as it
/// comes, unmasked in place, so that a message's length is its receiver's to limit. A pure state machine.
class FrameReader {
 public:
  class Receiver {
   public:
    virtual ~Receiver() = default;

    /// A piece of a data message, text checked to be UTF-8; `last` ends the message. Pieces may be empty.
    virtual void data(Opcode kind, std::string_view bytes, bool last) = 0;

    virtual void ping(std::string_view payload) = 0;
    virtual void pong(std::string_view payload) = 0;

    /// The client closes; no frame follows. `code` is empty if it gave none.
    virtual void close(std::optional<std::uint16_t> code) = 0;
  };

  /// A frame that claims more than `largest_frame` bytes is refused with too_big at its header.
  explicit FrameReader(std::uint64_t largest_frame = std::uint64_t{1} << 20U) : largest_frame_(largest_frame) {}

  /// Reads all of `bytes`. On a violation returns the code to close with; nothing may be read after.
  std::optional<CloseCode> read(std::span<char> bytes, Receiver& receiver);

  /// Whether a Close frame has come.
  bool closed() const { return closed_; }

 private:
  std::optional<CloseCode> read_header(std::span<char>& bytes);
  std::optional<CloseCode> begin_frame();
  std::optional<CloseCode> read_payload(std::span<char>& bytes, Receiver& receiver);
  std::optional<CloseCode> end_control(Receiver& receiver);
  std::size_t header_size() const;

  std::uint64_t largest_frame_;
  char header_[14] = {};
  std::uint8_t header_have_ = 0;
  bool in_payload_ = false;
  bool closed_ = false;
  bool final_ = false;
  Opcode opcode_ = Opcode::continuation;
  Opcode message_ = Opcode::continuation;  ///< kind of the message in progress; continuation if none
  std::uint8_t mask_at_ = 0;
  std::uint8_t mask_[4] = {};
  std::uint64_t left_ = 0;
  Utf8 utf8_;
  std::string control_;
};

}  // namespace millrace::http::websocket
