#include "plugins/push/target.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/url.hpp>
#include <charconv>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "plugins/push/digest.h"
#include "runner/stage/json.h"

namespace millrace::push {
namespace {

using json = nlohmann::ordered_json;
namespace urls = boost::urls;

constexpr std::string_view channels = "this version has the channels http://, https://, ntfy:// and ntfys://";

std::string base64(std::string_view raw) {
  std::string quoted;
  append_json(quoted, Value::bytes(raw));
  return quoted.substr(1, quoted.size() - 2);
}

bool is_topic(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool is_loopback(const urls::url_view& url) {
  if (url.host_type() == urls::host_type::ipv4) return url.host_ipv4_address().is_loopback();
  if (url.host_type() == urls::host_type::ipv6) return url.host_ipv6_address().is_loopback();
  return url.host() == "localhost";
}

/// At most `limit` bytes, no character cut in two.
std::string clipped(std::string text, std::size_t limit) {
  constexpr std::string_view dots = "...";
  if (text.size() <= limit) return text;
  std::size_t end = limit - dots.size();
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return text.substr(0, end).append(dots);
}

std::string dump(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace); }

bool is_pressing(const Message& message) {
  return !message.resolved() && !message.level.empty() && message.level != "info" && message.level != "ok";
}

/// ntfy's scale: 1 lowest, 3 ordinary, 5 highest. Levels are the user's words; `critical` and `info` say what they are.
int priority_of(const Message& message) {
  if (message.quiet) return 2;
  if (!is_pressing(message)) return 3;
  return message.level == "critical" ? 5 : 4;
}

/// A tag that ntfy shows as a symbol.
std::string_view symbol_of(const Message& message) {
  if (message.resolved()) return "white_check_mark";
  if (!is_pressing(message)) return "";
  return message.level == "critical" ? "rotating_light" : "warning";
}

bool is_port(std::string_view text) {
  std::uint16_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size() && number != 0;
}

}  // namespace

Result<Target> Target::parse(std::string_view text) {
  std::string_view scheme = text.substr(0, text.find(':'));
  bool is_ntfy = scheme == "ntfy" || scheme == "ntfys";
  if (!is_ntfy && scheme != "http" && scheme != "https") {
    bool named = scheme.size() < text.size() && scheme.size() <= 16;
    return invalid(named ? fmt::format("the channel '{}:' is not available; {}", scheme, channels)
                         : fmt::format("a target without a channel; {}", channels));
  }
  auto parsed = urls::parse_uri(text);
  if (!parsed || parsed->host().empty())
    return invalid(
        fmt::format("a target that begins with '{}:' is not a whole URL: {}://HOST/... was expected", scheme, scheme));
  urls::url url = *parsed;
  if (url.has_port() && !is_port(url.port()))
    return invalid(fmt::format("'{}' is no port: 1 to 65535", std::string(url.port())));

  Target target;
  target.key_ = digest_of({text});
  target.display_ = fmt::format("{}://{}", scheme, std::string_view(url.encoded_host_and_port()));
  target.loopback_ = is_loopback(url);
  if (url.has_password()) {
    target.authorization_ = "Basic " + base64(url.user() + ":" + url.password());
  } else if (url.has_userinfo()) {
    target.authorization_ = is_ntfy ? "Bearer " + url.user() : "Basic " + base64(url.user() + ":");
  }
  url.remove_userinfo();
  url.remove_fragment();
  if (is_ntfy) {
    target.channel_ = Channel::ntfy;
    std::string path = url.path();
    target.topic_ = path.substr(std::min<std::size_t>(path.size(), 1));
    if (!is_topic(target.topic_))
      return invalid(fmt::format("{}: {}://HOST/TOPIC was expected, the topic of up to 64 letters, digits, '-' and '_'",
                                 target.display_, scheme));
  }
  target.url_ =
      is_ntfy ? fmt::format("{}://{}/", scheme == "ntfys" ? "https" : "http", std::string_view(url.encoded_host_and_port()))
              : std::string(url.buffer());
  for (auto segment : url.encoded_segments())
    if (!segment.empty()) target.confidential_.emplace_back(std::string_view(segment));
  if (url.has_query()) target.confidential_.emplace_back(std::string_view(url.encoded_query()));
  return target;
}

std::string_view Target::harmless(std::string_view answer) const {
  bool gives_away =
      std::ranges::any_of(confidential_, [&](const std::string& part) { return answer.find(part) != answer.npos; });
  return gives_away ? std::string_view{} : answer;
}

Request Target::request(const Message& message, const std::string& id, Time now, std::string_view secret) const {
  Request request;
  request.id = id;
  request.url = url_;
  request.loopback = loopback_;
  request.headers = {"Content-Type: application/json", "Idempotency-Key: " + id};
  if (!authorization_.empty()) request.headers.push_back("Authorization: " + authorization_);
  if (channel_ == Channel::webhook) webhook(message, now, secret, request);
  if (channel_ == Channel::ntfy) ntfy(message, request);
  return request;
}

void Target::webhook(const Message& message, Time now, std::string_view secret, Request& request) const {
  json payload = json::parse(message.payload, nullptr, false);
  json out = {{"id", request.id}, {"notification", message.notification}, {"title", message.title}, {"message", message.text}};
  for (const char* name : {"device", "time"})
    if (payload.contains(name)) out[name] = payload[name];
  json fields = payload.value("fields", json::object());
  for (const char* name : {"state", "to"})
    if (fields.contains(name) && !out.contains("state")) out["state"] = fields[name];
  for (auto& [name, value] : fields.items())
    if (!out.contains(name)) out[name] = std::move(value);
  request.body = dump(out);
  if (secret.empty()) return;
  auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::string signature = hmac_of(secret, fmt::format("{}.{}", seconds, request.body));
  request.headers.push_back(fmt::format("X-Millrace-Signature: t={},v1={}", seconds, signature));
}

void Target::ntfy(const Message& message, Request& request) const {
  // A server makes an attachment of longer messages.
  constexpr std::size_t longest_message = 4000;
  constexpr std::size_t longest_title = 250;
  json out = {{"topic", topic_},
              {"title", clipped(message.title, longest_title)},
              {"message", clipped(message.text, longest_message)},
              {"priority", priority_of(message)}};
  if (std::string_view symbol = symbol_of(message); !symbol.empty()) out["tags"] = json::array({symbol});
  request.body = dump(out);
}

}  // namespace millrace::push
