#include "runner/http/token.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <nlohmann/json.hpp>
#include <set>

#include "runner/http/base64url.h"

namespace millrace::http {
namespace {

using nlohmann::json;

constexpr std::size_t longest_token = 8U << 10U;
constexpr Duration early = 5s;  ///< how far another clock may be ahead of ours

Error refused(std::string_view why) { return rejected("the token " + std::string(why)); }

struct Parts {
  std::string_view header, payload, signature;
  std::string_view signed_text;
};

std::optional<Parts> split(std::string_view token) {
  auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string_view::npos || first == last) return std::nullopt;
  Parts parts{.header = token.substr(0, first),
              .payload = token.substr(first + 1, last - first - 1),
              .signature = token.substr(last + 1),
              .signed_text = token.substr(0, last)};
  if (parts.payload.find('.') != std::string_view::npos) return std::nullopt;
  return parts;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// A JSON object that names no member twice, anywhere; else a discarded value.
json strict_object(std::string_view text) {
  std::vector<std::set<std::string>> seen;
  bool twice = false;
  auto watch = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) seen.emplace_back();
    if (event == json::parse_event_t::key) twice |= !seen.back().insert(parsed.get<std::string>()).second;
    if (event == json::parse_event_t::object_end) seen.pop_back();
    return true;
  };
  json object = json::parse(text, watch, false);
  if (twice || !object.is_object()) return json(json::value_t::discarded);
  return object;
}

/// A list of texts, or one text; false for anything else.
bool read_texts(const json& from, std::vector<std::string>& to) {
  if (from.is_string()) {
    to.push_back(from.get<std::string>());
    return true;
  }
  if (!from.is_array()) return false;
  for (const json& item : from) {
    if (!item.is_string()) return false;
    to.push_back(item.get<std::string>());
  }
  return true;
}

/// A NumericDate (RFC 7519 section 2), within what a Time can hold.
std::optional<Time> read_time(const json& from) {
  constexpr double far = 8.0e12;
  if (!from.is_number()) return std::nullopt;
  double seconds = from.get<double>();
  if (!(seconds >= 0 && seconds < far)) return std::nullopt;
  return Time(Duration(static_cast<std::int64_t>(seconds * 1e6)));
}

Result<void> check_times(const json& payload, Time now, Expiry expiry, Identity& identity) {
  auto exp = payload.find("exp");
  identity.expires = exp == payload.end() ? std::nullopt : read_time(*exp);
  if (!identity.expires) return refused("does not say when it expires");
  if (expiry == Expiry::checked && *identity.expires <= now) return refused("has expired");
  if (auto nbf = payload.find("nbf"); nbf != payload.end()) {
    auto from = read_time(*nbf);
    if (!from) return refused("has an `nbf` that is no time");
    if (*from > now + early) return refused("is not valid yet");
  }
  return {};
}

Result<void> read_claims(const json& payload, Identity& identity) {
  for (const char* name : {"nameid", "sub"}) {
    auto user = payload.find(name);
    if (user == payload.end()) continue;
    if (!user->is_string() || user->get_ref<const std::string&>().size() > Identity::longest_name)
      return refused("has a user that is no text, or too long");
    identity.user = user->get<std::string>();
    break;
  }
  if (auto groups = payload.find("groups"); groups != payload.end() && !read_texts(*groups, identity.groups))
    return refused("has `groups` that are no list of texts");
  if (identity.groups.size() > Identity::most_groups ||
      std::any_of(identity.groups.begin(), identity.groups.end(),
                  [](const auto& pattern) { return pattern.size() > Identity::longest_name; }))
    return refused("has too many groups, or one that is too long");
  auto rights = payload.find("rights");
  if (rights == payload.end()) {
    identity.rights = {Right::read};
    return {};
  }
  std::vector<std::string> names;
  if (!read_texts(*rights, names)) return refused("has `rights` that are no list of texts");
  for (const std::string& name : names) {
    auto right = right_named(name);
    if (!right) return refused("has a right that does not exist");
    identity.rights.add(*right);
  }
  return {};
}

bool is_for(const json& payload, std::span<const std::string_view> audiences) {
  auto aud = payload.find("aud");
  std::vector<std::string> named;
  if (aud == payload.end() || !read_texts(*aud, named)) return false;
  return std::any_of(named.begin(), named.end(),
                     [&](const auto& name) { return std::find(audiences.begin(), audiences.end(), name) != audiences.end(); });
}

}  // namespace

std::string hmac_sha256(std::string_view secret, std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  [[maybe_unused]] auto* done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &size);
  assert(done != nullptr);  // SHA-256 fails only without memory
  return {reinterpret_cast<const char*>(out.data()), size};
}

std::string mint_token(const SigningKey& key, const Identity& identity, std::string_view audience, Time now) {
  assert(identity.expires && "a token that never ends cannot be taken back");
  auto seconds = [](Time t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); };
  json payload{{"aud", audience}, {"exp", seconds(*identity.expires)}, {"iat", seconds(now)}, {"jti", random_text(12)}};
  if (!identity.user.empty()) payload["sub"] = identity.user;
  payload["groups"] = identity.groups;
  payload["rights"] = names_of(identity.rights);
  std::string token = base64url(json{{"alg", "HS256"}, {"typ", "JWT"}, {"kid", key.id}}.dump()) + '.' +
                      base64url(payload.dump(-1, ' ', false, json::error_handler_t::replace));
  return token + '.' + base64url(hmac_sha256(key.secret, token));
}

Result<Identity> verify_token(std::string_view token, std::span<const SigningKey> keys,
                              std::span<const std::string_view> audiences, Time now, Expiry expiry) {
  if (token.size() > longest_token) return refused("is too long");
  auto parts = split(token);
  auto signature = parts ? from_base64url(parts->signature) : std::nullopt;
  if (!signature) return refused("is no signed token");
  // Nothing that it says is looked at before it has proven whose it is.
  bool ours = false;
  for (const SigningKey& key : keys) ours |= equal_in_constant_time(*signature, hmac_sha256(key.secret, parts->signed_text));
  if (!ours) return refused("is not signed by a key of this server");

  auto header_text = from_base64url(parts->header), payload_text = from_base64url(parts->payload);
  if (!header_text || !payload_text) return refused("is no signed token");
  json header = strict_object(*header_text), payload = strict_object(*payload_text);
  if (!header.is_object() || !payload.is_object()) return refused("says something twice, or is no JSON");
  if (auto alg = header.find("alg"); alg == header.end() || *alg != "HS256") return refused("is not signed with HS256");
  if (header.contains("crit")) return refused("demands what this server does not know");
  if (!is_for(payload, audiences)) return refused("is for something else");

  Identity identity;
  if (auto timely = check_times(payload, now, expiry, identity); !timely) return timely.error();
  if (auto read = read_claims(payload, identity); !read) return read.error();
  identity.claims = std::move(*payload_text);
  return identity;
}

}  // namespace millrace::http
