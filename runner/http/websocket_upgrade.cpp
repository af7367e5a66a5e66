#include <fmt/core.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include <array>

#include "runner/http/websocket.h"

namespace millrace::http::websocket {
namespace {

std::string base64(std::span<const unsigned char> bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

/// Sixteen bytes in base64.
bool is_key(std::string_view key) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  return key.size() == 24 && key.ends_with("==") && key.substr(0, 22).find_first_not_of(alphabet) == std::string_view::npos;
}

std::optional<Response> refusal(const Request& request) {
  if (request.method != "GET")
    return Response{.status = 405, .body = "A WebSocket begins with GET.\n", .headers = {{"Allow", "GET"}}};
  if (!request.header_has_token("Upgrade", "websocket") || !request.header_has_token("Connection", "upgrade"))
    return Response{.status = 426,
                    .body = "This path speaks WebSocket.\n",
                    .headers = {{"Upgrade", "websocket"}, {"Sec-WebSocket-Version", "13"}}};
  const std::string* version = request.header("Sec-WebSocket-Version");
  if (!version || *version != "13")
    return Response{.status = 426, .body = "WebSocket version 13, please.\n", .headers = {{"Sec-WebSocket-Version", "13"}}};
  const std::string* key = request.header("Sec-WebSocket-Key");
  if (!key || !is_key(*key)) return Response{.status = 400, .body = "Sec-WebSocket-Key is missing or malformed.\n"};
  if (!request.body.empty()) return Response{.status = 400, .body = "A WebSocket begins without a body.\n"};
  return std::nullopt;
}

}  // namespace

std::string accept_key(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return base64(digest);
}

std::unique_ptr<Stream> upgrade(const Request& request, Exchange exchange) {
  if (auto response = refusal(request)) {
    exchange.respond(std::move(*response));
    return nullptr;
  }
  return exchange.take_over(fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
      accept_key(*request.header("Sec-WebSocket-Key"))));
}

}  // namespace millrace::http::websocket
