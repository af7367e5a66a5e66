#include <algorithm>
#include <cstring>

#include "runner/http/websocket.h"

namespace millrace::http::websocket {
namespace {

constexpr std::size_t control_limit = 125;

bool is_control(Opcode opcode) { return (static_cast<std::uint8_t>(opcode) & 8U) != 0; }

/// Codes that may appear in a frame (section 7.4 and the registry it opened).
bool is_sendable(std::uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

void append_big_endian(std::string& out, std::uint64_t number, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out += static_cast<char>(number >> shift & 0xFFU);
}

void unmask(std::span<char> bytes, const std::uint8_t (&mask)[4], std::uint8_t at) {
  std::uint8_t turned[8];
  for (unsigned i = 0; i < 8; ++i) turned[i] = mask[(at + i) % 4];
  std::uint64_t wide;
  std::memcpy(&wide, turned, sizeof wide);
  std::size_t i = 0;
  for (; bytes.size() - i >= sizeof wide; i += sizeof wide) {
    std::uint64_t eight;
    std::memcpy(&eight, bytes.data() + i, sizeof eight);
    eight ^= wide;
    std::memcpy(bytes.data() + i, &eight, sizeof eight);
  }
  for (; i < bytes.size(); ++i) bytes[i] = static_cast<char>(static_cast<std::uint8_t>(bytes[i]) ^ turned[i % 8]);
}

}  // namespace

void append_header(std::string& out, Opcode opcode, std::size_t payload) {
  out += static_cast<char>(0x80U | static_cast<std::uint8_t>(opcode));
  if (payload < 126) {
    out += static_cast<char>(payload);
  } else if (payload <= 0xFFFF) {
    out += static_cast<char>(126);
    append_big_endian(out, payload, 2);
  } else {
    out += static_cast<char>(127);
    append_big_endian(out, payload, 8);
  }
}

void append_frame(std::string& out, Opcode opcode, std::string_view payload) {
  append_header(out, opcode, payload.size());
  out += payload;
}

std::string close_frame(CloseCode code, std::string_view reason) {
  std::string payload, frame;
  append_big_endian(payload, static_cast<std::uint16_t>(code), 2);
  payload += reason.substr(0, control_limit - payload.size());
  append_frame(frame, Opcode::close, payload);
  return frame;
}

std::size_t FrameReader::header_size() const {
  if (header_have_ < 2) return 2;
  unsigned length = static_cast<std::uint8_t>(header_[1]) & 0x7FU;
  return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + 4;
}

std::optional<CloseCode> FrameReader::read(std::span<char> bytes, Receiver& receiver) {
  while (!closed_) {
    if (!in_payload_) {
      if (bytes.empty()) return std::nullopt;
      if (auto violation = read_header(bytes)) return violation;
      if (!in_payload_) continue;
    }
    // A frame without payload ends at once, though no bytes are left.
    if (bytes.empty() && left_ > 0) return std::nullopt;
    if (auto violation = read_payload(bytes, receiver)) return violation;
  }
  return std::nullopt;
}

std::optional<CloseCode> FrameReader::read_header(std::span<char>& bytes) {
  std::size_t take = std::min<std::size_t>(header_size() - header_have_, bytes.size());
  std::memcpy(header_ + header_have_, bytes.data(), take);
  header_have_ = static_cast<std::uint8_t>(header_have_ + take);
  bytes = bytes.subspan(take);
  if (header_have_ < 2) return std::nullopt;
  bool masked = (static_cast<std::uint8_t>(header_[1]) & 0x80U) != 0;
  if (!masked) return CloseCode::protocol_error;
  return header_have_ < header_size() ? std::nullopt : begin_frame();
}

std::optional<CloseCode> FrameReader::begin_frame() {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(header_[i]); };
  final_ = (byte(0) & 0x80U) != 0;
  bool reserved_bits = (byte(0) & 0x70U) != 0;
  unsigned opcode = byte(0) & 0x0FU;
  if (reserved_bits || (opcode > 2 && opcode < 8) || opcode > 10) return CloseCode::protocol_error;
  opcode_ = static_cast<Opcode>(opcode);

  left_ = byte(1) & 0x7FU;
  std::size_t at = 2;
  if (left_ >= 126) {
    std::size_t width = left_ == 126 ? 2 : 8;
    std::uint64_t smallest = left_ == 126 ? 126 : 0x10000;
    left_ = 0;
    for (std::size_t i = 0; i < width; ++i) left_ = left_ << 8U | byte(at + i);
    at += width;
    if (left_ < smallest || (left_ >> 63U) != 0) return CloseCode::protocol_error;
  }
  std::memcpy(mask_, header_ + at, sizeof mask_);
  mask_at_ = 0;
  header_have_ = 0;
  in_payload_ = true;

  if (is_control(opcode_)) return final_ && left_ <= control_limit ? std::nullopt : std::optional(CloseCode::protocol_error);
  if (left_ > largest_frame_) return CloseCode::too_big;
  bool continues = opcode_ == Opcode::continuation;
  if (continues != (message_ != Opcode::continuation)) return CloseCode::protocol_error;
  if (!continues) {
    message_ = opcode_;
    utf8_ = {};
  }
  return std::nullopt;
}

std::optional<CloseCode> FrameReader::read_payload(std::span<char>& bytes, Receiver& receiver) {
  auto piece = bytes.first(static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
  bytes = bytes.subspan(piece.size());
  unmask(piece, mask_, mask_at_);
  mask_at_ = static_cast<std::uint8_t>((mask_at_ + piece.size()) % 4);
  left_ -= piece.size();
  in_payload_ = left_ > 0;
  std::string_view text(piece.data(), piece.size());

  if (is_control(opcode_)) {
    control_ += text;
    return in_payload_ ? std::nullopt : end_control(receiver);
  }
  bool last = final_ && !in_payload_;
  Opcode kind = message_;
  if (kind == Opcode::text && (!utf8_.feed(text) || (last && !utf8_.complete()))) return CloseCode::invalid_text;
  if (last) message_ = Opcode::continuation;
  receiver.data(kind, text, last);
  return std::nullopt;
}

std::optional<CloseCode> FrameReader::end_control(Receiver& receiver) {
  std::string payload = std::exchange(control_, {});
  if (opcode_ == Opcode::ping) {
    receiver.ping(payload);
    return std::nullopt;
  }
  if (opcode_ == Opcode::pong) {
    receiver.pong(payload);
    return std::nullopt;
  }
  closed_ = true;
  if (payload.empty()) {
    receiver.close(std::nullopt);
    return std::nullopt;
  }
  if (payload.size() == 1) return CloseCode::protocol_error;
  auto code = static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8U | static_cast<std::uint8_t>(payload[1]));
  if (!is_sendable(code)) return CloseCode::protocol_error;
  Utf8 reason;
  if (!reason.feed(std::string_view(payload).substr(2)) || !reason.complete()) return CloseCode::invalid_text;
  receiver.close(code);
  return std::nullopt;
}

}  // namespace millrace::http::websocket
