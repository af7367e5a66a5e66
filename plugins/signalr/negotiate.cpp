#include "plugins/signalr/negotiate.h"

#include <fmt/core.h>
#include <algorithm>
#include <charconv>

#include "runner/http/base64url.h"
#include "runner/stage/json.h"

namespace millrace::signalr {

std::string random_id() { return http::random_text(16); }

namespace {

/// What a client sent, if it is fit to be repeated to it.
std::string_view repeatable(std::string_view text) {
  bool plain = text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return plain ? text : "...";
}

}  // namespace

Negotiation read_negotiation(const http::Request& request) {
  bool stateful = http::equal_ignoring_case(request.parameter("useStatefulReconnect").value_or(""), "true");
  auto asked = request.parameter("negotiateVersion");
  if (!asked) return {.stateful = stateful};
  int version = 0;
  const char* last = asked->data() + asked->size();
  auto [end, error] = std::from_chars(asked->data(), last, version);
  if (error != std::errc{} || end != last)
    return {.error = fmt::format("The client requested an invalid protocol version '{}'", repeatable(*asked))};
  if (version < 0)
    return {.error = fmt::format("The client requested version '{}', but the server does not support this version.", version)};
  return {.version = std::min(version, 1), .stateful = stateful};
}

std::string negotiation_body(const Negotiation& negotiation, const std::string& id, const std::string& token,
                             const Transports& transports) {
  if (!negotiation.error.empty()) {
    std::string body = R"({"error":)";
    append_json_string(body, negotiation.error);
    return body + '}';
  }
  std::string body = fmt::format(R"({{"negotiateVersion":{},"connectionId":"{}",)", negotiation.version, id);
  if (negotiation.version >= 1) body += fmt::format(R"("connectionToken":"{}",)", token);
  if (!negotiation.access_token.empty()) body += fmt::format(R"("accessToken":"{}",)", negotiation.access_token);
  if (negotiation.stateful) body += R"("useStatefulReconnect":true,)";
  std::string offers;
  auto offer = [&](std::string_view name, std::string_view formats) {
    if (!offers.empty()) offers += ',';
    offers += fmt::format(R"({{"transport":"{}","transferFormats":[{}]}})", name, formats);
  };
  if (transports.websockets) offer("WebSockets", R"("Text","Binary")");
  if (transports.server_sent_events) offer("ServerSentEvents", R"("Text")");
  if (transports.long_polling) offer("LongPolling", R"("Text","Binary")");
  return body + R"("availableTransports":[)" + offers + "]}";
}

}  // namespace millrace::signalr
