#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broken.h"
#include "runner/http/request_head.h"
#include "runner/http/websocket.h"

// Promises of the frame reader: what it says does not depend on how the bytes are cut; nothing comes after a Close; text handed
// on is whole UTF-8 at the end of each message. And of the judge of request heads: it ends, and accepts nothing ambiguous.

namespace {

using namespace millrace::http::websocket;
using millrace::fuzz::broken;

struct Transcript final : FrameReader::Receiver {
  std::string said, message;
  bool closed = false;

  void note(std::string_view what, std::string_view bytes) {
    if (closed) broken("nothing comes after a Close");
    said.append(what).append(bytes) += '\n';
  }
  void data(Opcode kind, std::string_view bytes, bool last) override {
    if (closed) broken("nothing comes after a Close");
    message += bytes;
    if (!last) return;
    millrace::http::Utf8 utf8;
    if (kind == Opcode::text && !(utf8.feed(message) && utf8.complete())) broken("text is UTF-8");
    note(kind == Opcode::text ? "text " : "binary ", message);
    message.clear();
  }
  void ping(std::string_view payload) override { note("ping ", payload); }
  void pong(std::string_view payload) override { note("pong ", payload); }
  void close(std::optional<std::uint16_t> code) override {
    note("close ", std::to_string(code.value_or(0)));
    closed = true;
  }
};

std::string read(std::string bytes, std::size_t piece) {
  FrameReader reader;
  Transcript transcript;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    auto violation = reader.read(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)), transcript);
    if (violation) return transcript.said + "violation " + std::to_string(static_cast<int>(*violation));
  }
  return transcript.said;
}

void check_head(std::string_view text) {
  if (millrace::http::judge_request_head(text) != 0) return;
  auto lower = std::string(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  auto first = lower.find("\r\nhost:");
  if (first != std::string::npos && lower.find("\r\nhost:", first + 1) != std::string::npos) broken("one Host");
  if (lower.find("\r\ncontent-length:") != std::string::npos && lower.find("\r\ntransfer-encoding:") != std::string::npos)
    broken("one framing");
  if (lower.find("\r\n ") != std::string::npos || lower.find("\r\n\t") != std::string::npos) broken("no folded lines");
  if (text.find('\0') != std::string_view::npos) broken("no NUL");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  check_head(text);
  std::string bytes(text);
  std::string whole = read(bytes, bytes.size() + 1);
  if (read(bytes, 1) != whole || read(bytes, 5) != whole) broken("the cut does not matter");
  return 0;
}
