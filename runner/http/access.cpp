#include "runner/http/access.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "runner/http/token_keys.h"

namespace millrace::http {
namespace {

constexpr std::string_view cookie_name = "millrace_session";
constexpr std::string_view session_audience = "millrace-session";

/// The token of an Authorization header of that scheme; others are for whoever sent the request on. `ambiguous`: several.
struct Bearer {
  std::optional<std::string> token;
  bool ambiguous = false;
};

Bearer bearer_of(const Request& request) {
  auto count = std::count_if(request.headers.begin(), request.headers.end(),
                             [](const Header& header) { return equal_ignoring_case(header.first, "Authorization"); });
  if (count != 1) return {.ambiguous = count > 1};
  std::string_view value = *request.header("Authorization");
  constexpr std::string_view scheme = "Bearer ";
  if (value.size() <= scheme.size() || !equal_ignoring_case(value.substr(0, scheme.size()), scheme)) return {};
  value.remove_prefix(scheme.size());
  return {.token = std::string(value)};
}

std::optional<std::string> cookie_of(const Request& request) {
  for (const auto& [name, value] : request.headers) {
    if (!equal_ignoring_case(name, "Cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view one = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(rest.size(), one.size() + 1));
      while (one.starts_with(' ')) one.remove_prefix(1);
      if (one.starts_with(cookie_name) && one.substr(cookie_name.size()).starts_with('='))
        return std::string(one.substr(cookie_name.size() + 1));
    }
  }
  return std::nullopt;
}

std::string set_cookie(const Request& request, std::string_view value, std::int64_t seconds) {
  return fmt::format("{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{}", cookie_name, value, seconds,
                     request.secure ? "; Secure" : "");
}

std::optional<Identity> good(Result<Identity> identity) {
  if (!identity) return std::nullopt;
  return std::move(*identity);
}

}  // namespace

Access::Access(bool required, std::shared_ptr<TokenKeys> keys, const Clock* clock)
    : required_(required),
      keys_(std::move(keys)),
      own_clock_(clock ? nullptr : std::make_unique<SystemClock>()),
      clock_(clock ? clock : own_clock_.get()) {}

Access::~Access() = default;

std::vector<SigningKey> Access::keys() const {
  auto keys = keys_ ? keys_->keys() : Result<TokenKeys::Keys>(unavailable("there are no keys"));
  return keys ? **keys : std::vector<SigningKey>{};
}

std::optional<Identity> Access::identify(const Request& request, const Credentials& credentials) const {
  if (!required_ && !keys_) return Identity::anyone();
  std::array audiences{client_plane, credentials.audience.empty() ? client_plane : credentials.audience};
  auto verified = [&](std::string_view token) {
    return good(verify_token(token, keys(), audiences, now(), credentials.expiry));
  };
  Bearer bearer = bearer_of(request);
  if (bearer.ambiguous) return std::nullopt;
  if (bearer.token) return verified(*bearer.token);
  if (credentials.in_query) {
    auto tokens = request.parameters("access_token");
    if (tokens.size() > 1) return std::nullopt;
    if (tokens.size() == 1 && !tokens.front().empty()) return verified(tokens.front());
  }
  if (auto cookie = cookie_of(request)) {
    static constexpr std::array session{session_audience};
    auto identity = good(verify_token(*cookie, keys(), session, now(), credentials.expiry));
    if (identity && Origins().allow(request)) return identity;
    // An old cookie must not lock anybody out of what is open to all.
  }
  if (required_) return std::nullopt;
  return Identity::anyone();
}

Result<Identity> Access::verify(std::string_view token, std::string_view audience) const {
  std::array audiences{client_plane, audience.empty() ? client_plane : audience};
  return verify_only(token, audiences);
}

Result<Identity> Access::verify_only(std::string_view token, std::span<const std::string_view> audiences) const {
  return verify_token(token, keys(), audiences, now());
}

Result<Access::Minted> Access::mint(Identity identity, std::string_view audience, Duration lifetime) const {
  auto all = keys();
  if (all.empty()) return unavailable("there is no key to sign tokens with");
  Time end = now() + lifetime;
  identity.expires = identity.expires ? std::min(*identity.expires, end) : end;
  return Minted{.token = mint_token(all.front(), identity, audience, now()), .expires = *identity.expires};
}

std::optional<std::string> Access::bearer(const Request& request) { return bearer_of(request).token; }

Response Access::unauthorized() {
  return {.status = 401,
          .body = "A valid token is needed; `millrace token` mints one.\n",
          .headers = {{"WWW-Authenticate", "Bearer"}, {"Cache-Control", "no-store"}}};
}

Response Access::forbidden() {
  return {.status = 403, .body = "Your token does not allow this.\n", .headers = {{"Cache-Control", "no-store"}}};
}

namespace {

Response describe(const Access& access, const Request& request) {
  auto who = access.identify(request);
  if (!who) return Access::unauthorized();
  nlohmann::json body{{"required", access.required()}, {"user", who->user}, {"groups", who->groups}};
  body["rights"] = names_of(who->rights);
  body["expires"] = who->expires ? nlohmann::json(to_whole_millis(*who->expires)) : nlohmann::json();
  return {.content_type = "application/json",
          .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + '\n',
          .headers = {{"Cache-Control", "no-store"}}};
}

Response sign_in(const Access& access, const Request& request) {
  constexpr Duration longest = 24h * 400;  // as long as browsers keep a cookie
  auto bearer = bearer_of(request);
  auto who = bearer.token ? access.verify(*bearer.token) : Result<Identity>(rejected("there is no token"));
  auto session = who ? access.mint(*who, session_audience, longest) : Result<Access::Minted>(who.error());
  if (!session) return Access::unauthorized();
  auto seconds = std::chrono::floor<std::chrono::seconds>(session->expires - access.now()).count();
  return {.status = 204,
          .content_type = "",
          .headers = {{"Set-Cookie", set_cookie(request, session->token, seconds)}, {"Cache-Control", "no-store"}}};
}

}  // namespace

Handler demand(std::shared_ptr<const Access> access, Right right, Handler handler) {
  return [access = std::move(access), right, handler = std::move(handler)](const Request& request, Exchange exchange) {
    auto who = access->identify(request);
    if (!who) return exchange.respond(Access::unauthorized());
    if (!who->may(right)) return exchange.respond(Access::forbidden());
    handler(request, std::move(exchange));
  };
}

Handler serve_session(std::shared_ptr<const Access> access) {
  return Routes::answering([access = std::move(access)](const Request& request) -> Response {
    if (!Origins().allow(request)) return {.status = 403, .body = "This origin is not allowed here.\n"};
    if (request.method == "GET" || request.method == "HEAD") return describe(*access, request);
    if (request.method == "POST") return sign_in(*access, request);
    if (request.method == "DELETE")
      return {.status = 204,
              .content_type = "",
              .headers = {{"Set-Cookie", set_cookie(request, "", 0)}, {"Cache-Control", "no-store"}}};
    return {.status = 405, .body = "Only GET, POST and DELETE.\n", .headers = {{"Allow", "GET, HEAD, POST, DELETE"}}};
  });
}

}  // namespace millrace::http
