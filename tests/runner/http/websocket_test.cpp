#include "runner/http/websocket.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/socket_client.h"

using namespace millrace::http::websocket;
using millrace::test::client_frame;

namespace {

/// Writes down what a reader says, pieces of a message joined.
struct Transcript final : FrameReader::Receiver {
  std::vector<std::string> lines;
  std::string message;

  void data(Opcode kind, std::string_view bytes, bool last) override {
    message += bytes;
    if (last) lines.push_back((kind == Opcode::text ? "text:" : "binary:") + std::exchange(message, {}));
  }
  void ping(std::string_view payload) override { lines.push_back("ping:" + std::string(payload)); }
  void pong(std::string_view payload) override { lines.push_back("pong:" + std::string(payload)); }
  void close(std::optional<std::uint16_t> code) override { lines.push_back("close:" + (code ? std::to_string(*code) : "")); }
};

struct Outcome {
  std::vector<std::string> lines;
  std::optional<CloseCode> violation;
};

Outcome read(std::string bytes, std::size_t piece) {
  FrameReader reader;
  Transcript transcript;
  Outcome outcome;
  for (std::size_t at = 0; at < bytes.size() && !outcome.violation; at += piece)
    outcome.violation = reader.read(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)), transcript);
  outcome.lines = transcript.lines;
  return outcome;
}

std::string header_of(Opcode opcode, std::size_t payload) {
  std::string header;
  append_header(header, opcode, payload);
  return header;
}

}  // namespace

TEST_CASE("the accept key is that of the RFC's example") {
  CHECK(accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("frames are read alike in pieces of any size") {
  std::string long_text(70000, 'x');
  std::string bytes = client_frame(0x81, "hello") + client_frame(0x01, "frag") + client_frame(0x89, "now") +
                      client_frame(0x00, "") + client_frame(0x80, "ment") + client_frame(0x82, std::string("\x00\xff", 2)) +
                      client_frame(0x81, "") + client_frame(0x8A, "p") + client_frame(0x81, std::string(300, 'y')) +
                      client_frame(0x81, long_text) +
                      client_frame(0x88,
                                   "\x03\xE8"
                                   "bye");
  auto piece = GENERATE(1U, 2U, 3U, 7U, 1000U, 1000000U);
  auto [lines, violation] = read(bytes, piece);
  CHECK_FALSE(violation);
  REQUIRE(lines.size() == 9);
  CHECK(lines[0] == "text:hello");
  CHECK(lines[1] == "ping:now");
  CHECK(lines[2] == "text:fragment");
  CHECK(lines[3] == std::string("binary:\x00\xff", 9));
  CHECK(lines[4] == "text:");
  CHECK(lines[5] == "pong:p");
  CHECK(lines[6] == "text:" + std::string(300, 'y'));
  CHECK(lines[7] == "text:" + long_text);
  CHECK(lines[8] == "close:1000");
}

TEST_CASE("a frame too large is refused at its header") {
  FrameReader reader(100);
  Transcript transcript;
  auto bytes = client_frame(0x01, std::string(100, 'x')) + client_frame(0x80, std::string(101, 'x')).substr(0, 8);
  CHECK((reader.read(std::span(bytes), transcript) == CloseCode::too_big));
  std::string huge("\x82\xFF\x40\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14);
  CHECK((read(huge, 1).violation == CloseCode::too_big));
}

TEST_CASE("nothing is read after a Close frame") {
  CHECK(read(client_frame(0x88, "") + "rubbish", 100).lines == std::vector<std::string>{"close:"});
}

TEST_CASE("violations of the framing close with 1002") {
  std::string unmasked("\x81\x01x", 3);
  auto bytes = GENERATE_COPY(values<std::string>({
      unmasked, client_frame(0xC1, "reserved bit 1"), client_frame(0xA1, "reserved bit 2"),
      client_frame(0x91, "reserved bit 3"), client_frame(0x83, "reserved data opcode"),
      client_frame(0x8B, "reserved control opcode"), client_frame(0x09, "fragmented ping"),
      client_frame(0x89, std::string(126, 'x')), client_frame(0x80, "continues nothing"),
      client_frame(0x01, "begun") + client_frame(0x81, "another"), client_frame(0x88, "\x03"),
      client_frame(0x88, std::string("\x03\xED", 2)),  // 1005, which must not be sent
      client_frame(0x88, std::string("\x00\x00", 2)), client_frame(0x88, std::string("\x13\x88", 2)),  // 5000
      std::string("\x81\xFE\x00\x05\x00\x00\x00\x00hello", 13),                                        // 5 in two bytes
      std::string("\x81\xFF\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00", 14),                     // 256 in eight bytes
      std::string("\x81\xFF\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 14),                     // top bit set
  }));
  auto piece = GENERATE(1U, 100000U);
  CAPTURE(piece, bytes.size(), static_cast<int>(static_cast<unsigned char>(bytes[0])));
  CHECK((read(bytes, piece).violation == CloseCode::protocol_error));
}

TEST_CASE("text that is not UTF-8 closes with 1007, at once") {
  auto bad = GENERATE(values<std::string>({"\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xFF", "\x80", "\xE2\x28\xA1",
                                           "\xE0\x80\x80", "\xF0\x80\x80\x80", "\xF8\x88\x80\x80\x80"}));
  CHECK(read(client_frame(0x81, bad), 100).violation == CloseCode::invalid_text);
  CHECK(read(client_frame(0x01, bad), 100).violation == CloseCode::invalid_text);  // before the message ends
  CHECK(read(client_frame(0x88, "\x03\xE8" + bad), 100).violation == CloseCode::invalid_text);
  CHECK_FALSE(read(client_frame(0x82, bad), 100).violation);
}

TEST_CASE("a character may be split between frames, but not left unfinished") {
  auto split = client_frame(0x01, "\xE2\x82") + client_frame(0x80, "\xAC");
  CHECK(read(split, 1).lines == std::vector<std::string>{"text:\xE2\x82\xAC"});
  CHECK(read(client_frame(0x81, "\xE2\x82"), 100).violation == CloseCode::invalid_text);
  CHECK(read(client_frame(0x81, "\xF4\x8F\xBF\xBF\xED\x9F\xBF\xC2\x80"), 1).violation == std::nullopt);
}

TEST_CASE("a frame header takes as few bytes as can be") {
  CHECK(header_of(Opcode::text, 125) == std::string("\x81\x7D"));
  CHECK(header_of(Opcode::binary, 126) == std::string("\x82\x7E\x00\x7E", 4));
  CHECK(header_of(Opcode::text, 65535) == std::string("\x81\x7E\xFF\xFF"));
  CHECK(header_of(Opcode::text, 65536) == std::string("\x81\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
}

TEST_CASE("a Close frame's reason is cut to what fits") {
  auto frame = close_frame(CloseCode::internal_error, std::string(200, 'r'));
  CHECK(frame.size() == 2 + 125);
  CHECK(frame.substr(0, 4) == std::string("\x88\x7D\x03\xF3"));
}
