#include "runner/http/token.h"

#include <openssl/evp.h>

#include <array>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "runner/http/base64url.h"

using namespace millrace;
using namespace millrace::http;
using nlohmann::json;

namespace {

const SigningKey key{.id = "k1", .secret = "0123456789abcdef0123456789abcdef"};
const SigningKey other{.id = "k2", .secret = "fedcba9876543210fedcba9876543210"};
const std::vector<SigningKey> keys{key};
const std::array<std::string_view, 1> audience{client_plane};
const Time now = from_millis(1'700'000'000'000);
constexpr std::int64_t now_s = 1'700'000'000;

std::string signed_token(const std::string& header, const std::string& payload, const SigningKey& by = key) {
  std::string text = base64url(header) + '.' + base64url(payload);
  return text + '.' + base64url(hmac_sha256(by.secret, text));
}

std::string with(const json& claims, const json& header = {{"alg", "HS256"}}) {
  json payload{{"aud", "millrace"}, {"exp", now_s + 60}};
  if (!claims.is_null()) payload.update(claims);
  return signed_token(header.dump(), payload.dump());
}

bool good(const std::string& token) { return verify_token(token, keys, audience, now).has_value(); }

std::string why_not(const std::string& token) {
  auto verified = verify_token(token, keys, audience, now);
  return verified ? "" : verified.error().what;
}

}  // namespace

TEST_CASE("the example of RFC 7515, appendix A.1, is signed as there") {
  std::string secret =
      *from_base64url("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
  std::string_view text =
      "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
  CHECK(base64url(hmac_sha256(secret, text)) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
}

TEST_CASE("a minted token says what went into it") {
  Identity identity{.user = "ann", .groups = {"device:porch", "yard*"}, .rights = {Right::read, Right::ack}};
  identity.expires = now + 10min;
  auto verified = verify_token(mint_token(key, identity, client_plane, now), keys, audience, now + 9min);
  REQUIRE(verified.has_value());
  CHECK(verified->user == "ann");
  CHECK(verified->groups == identity.groups);
  CHECK(verified->rights == identity.rights);
  CHECK(verified->expires == identity.expires);
  CHECK(json::parse(verified->claims)["iat"] == now_s);
}

TEST_CASE("a token holds until its very expiry, and not at it") {
  std::string token = with({});
  CHECK(verify_token(token, keys, audience, now + 60s - 1us).has_value());
  CHECK(why_not(with({{"exp", now_s}})) == "the token has expired");
  CHECK(verify_token(token, keys, audience, now + 60s).has_error());
  CHECK(verify_token(token, keys, audience, now + 60s, Expiry::ignored).has_value());
}

TEST_CASE("any of several keys verifies, whatever id the token names") {
  std::vector<SigningKey> both{other, key};
  CHECK(verify_token(with({}), both, audience, now).has_value());
  CHECK(verify_token(with({}, {{"alg", "HS256"}, {"kid", "k2"}}), both, audience, now).has_value());
  CHECK(verify_token(with({}), std::vector<SigningKey>{other}, audience, now).has_error());
  CHECK(verify_token(with({}), std::vector<SigningKey>{}, audience, now).has_error());
}

TEST_CASE("forged and malformed tokens are refused") {
  const std::string payload = json{{"aud", "millrace"}, {"exp", now_s + 60}, {"sub", "eve"}}.dump();
  const std::string ok = signed_token(R"({"alg":"HS256"})", payload);
  REQUIRE(good(ok));
  auto dot = ok.rfind('.');
  const std::string unsigned_part = ok.substr(0, dot);
  std::string changed = ok;
  changed[dot - 1] = changed[dot - 1] == 'A' ? 'B' : 'A';
  auto unsigned_with = [&](std::string_view header) { return base64url(header) + '.' + base64url(payload) + '.'; };

  const std::vector<std::string> forged{
      "",
      ".",
      "..",
      "...",
      "a.b.c",
      "Bearer " + ok,
      ' ' + ok,
      ok + ' ',
      ok + '\n',
      ok + '=',
      ok + ".x",
      "x." + ok,
      ok.substr(1),
      ok.substr(0, ok.size() - 1),
      ok.substr(0, ok.size() - 2),
      ok + "AA",
      unsigned_part,
      unsigned_part + '.',
      unsigned_part + ".AAAA",
      unsigned_part + '.' + std::string(43, 'A'),
      changed,
      unsigned_with(R"({"alg":"none"})"),
      unsigned_with(R"({"alg":"None","typ":"JWT"})"),
      unsigned_with(R"({"alg":"HS256"})"),
      signed_token(R"({"alg":"none"})", payload),
      signed_token(R"({"alg":"HS512"})", payload),
      signed_token(R"({"alg":"hs256"})", payload),
      signed_token(R"({"alg":"RS256"})", payload),
      signed_token(R"({"alg":["HS256"]})", payload),
      signed_token(R"({"alg":null})", payload),
      signed_token(R"({})", payload),
      signed_token(R"({"alg":"HS256","alg":"none"})", payload),
      signed_token(R"({"alg":"none","alg":"HS256"})", payload),
      signed_token(R"({"alg":"HS256","crit":["exp"]})", payload),
      signed_token(R"(["HS256"])", payload),
      signed_token("HS256", payload),
      signed_token("", payload),
      signed_token(R"({"alg":"HS256"})", payload, other),
      signed_token(R"({"alg":"HS256"})", payload, {.id = "k1", .secret = ""}),
      signed_token(R"({"alg":"HS256"})", payload, {.id = "k1", .secret = key.secret + ' '}),
      signed_token(R"({"alg":"HS256"})", "{}"),
      signed_token(R"({"alg":"HS256"})", "[]"),
      signed_token(R"({"alg":"HS256"})", "null"),
      signed_token(R"({"alg":"HS256"})", payload + '}'),
      signed_token(R"({"alg":"HS256"})", R"({"aud":"millrace","exp":1,"exp":1999999999})"),
      signed_token(R"({"alg":"HS256"})", R"({"aud":"x","aud":"millrace","exp":1999999999})"),
      signed_token(R"({"alg":"HS256"})", R"({"aud":"millrace"})"),
      signed_token(R"({"alg":"HS256"})", R"({"exp":1999999999})"),
      with({{"exp", "never"}}),
      with({{"exp", -1}}),
      with({{"exp", 1e300}}),
      with({{"exp", nullptr}}),
      with({{"exp", now_s - 1}}),
      with({{"nbf", now_s + 6}}),
      with({{"nbf", "now"}}),
      with({{"aud", "millrac"}}),
      with({{"aud", "millrace/"}}),
      with({{"aud", 7}}),
      with({{"aud", json::array()}}),
      with({{"aud", {"a", 1}}}),
      with({{"sub", 7}}),
      with({{"sub", std::string(1025, 'u')}}),
      with({{"groups", 7}}),
      with({{"groups", {1}}}),
      with({{"groups", std::vector<std::string>(101, "g")}}),
      with({{"rights", {"root"}}}),
      with({{"rights", true}}),
      with({{"pad", std::string(9000, 'p')}}),
      std::string(1U << 20U, 'A'),
  };
  for (const std::string& token : forged) {
    CAPTURE(token.substr(0, 200));
    CHECK_FALSE(good(token));
  }
}

TEST_CASE("what a refusal says quotes nothing of the token") {
  CHECK(why_not(with({{"rights", {"tell-me"}}})).find("tell-me") == std::string::npos);
  CHECK(why_not(with({{"aud", "elsewhere"}})) == "the token is for something else");
}

TEST_CASE("a token may be for several things and come a little early") {
  CHECK(good(with({{"aud", {"x", "millrace"}}})));
  CHECK(good(with({{"nbf", now_s + 5}})));
}

TEST_CASE("who says nothing of rights may read, and join no group") {
  auto identity = verify_token(with({{"nameid", "ann"}, {"sub", "other"}}), keys, audience, now);
  REQUIRE(identity.has_value());
  CHECK(identity->user == "ann");
  CHECK(identity->rights == Rights{Right::read});
  CHECK_FALSE(identity->may_join("device:a"));
  auto lone = verify_token(with({{"groups", "device:*"}, {"rights", "command"}}), keys, audience, now);
  REQUIRE(lone.has_value());
  CHECK(lone->may_join("device:a"));
  CHECK_FALSE(lone->may(Right::read));
}

TEST_CASE("a pattern's stars stand for any text") {
  CHECK(matches_pattern("*", ""));
  CHECK(matches_pattern("device:*", "device:porch"));
  CHECK(matches_pattern("a*b*c", "a--b-bc"));
  CHECK(matches_pattern("**", "x"));
  CHECK(matches_pattern("", ""));
  CHECK_FALSE(matches_pattern("", "x"));
  CHECK_FALSE(matches_pattern("device:*", "Device:porch"));
  CHECK_FALSE(matches_pattern("device:p", "device:porch"));
  CHECK_FALSE(matches_pattern("a*b", "ab-"));
  CHECK_FALSE(matches_pattern(std::string(500, '*') + "x", std::string(1000, 'a')));
}

TEST_CASE("base64url is read as it is written, and in no other way") {
  for (std::string_view bytes : {"", "f", "fo", "foo", "foob", "\xff\xfe\xfd"}) {
    std::string text = base64url(bytes);
    CHECK(from_base64url(text) == std::string(bytes));
  }
  CHECK(base64url("foob") == "Zm9vYg");
  for (std::string_view wrong : {"Zm9vYg==", "Zm9vY", "Zm9vYh", "Zm9v Yg", "Zm9v+g", "Z"}) CHECK_FALSE(from_base64url(wrong));
}
