#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/http/identity.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

// Tokens of the client plane: JSON Web Tokens (RFC 7519) signed with HMAC-SHA-256 (RFC 7515, HS256), and nothing else. Pure
// functions.
namespace millrace::http {

/// A secret that signs and verifies. The bytes of `secret`, as they are written, are the HMAC's key.
struct SigningKey {
  std::string id;  ///< the token's `kid`; says nothing of the secret
  std::string secret;
};

/// What tokens of `millrace token` are for: everything that a listener asks a token for.
inline constexpr std::string_view client_plane = "millrace";

/// A token that says who `identity` is; `identity.expires` must be given. `audience` is what it is for.
std::string mint_token(const SigningKey& key, const Identity& identity, std::string_view audience, Time now);

enum class Expiry {
  checked,
  ignored,  ///< for what has an expiry of its own, such as a connection that was renewed
};

/// Who a token says that its bearer is; ErrorKind::rejected with the reason, which quotes nothing of the token, unless
/// - it is signed by one of `keys`, with HS256, whatever its own header would like;
/// - no member stands twice, and none that must be understood is foreign (`crit`);
/// - one of its `aud` is one of `audiences`;
/// - `exp` is given and lies ahead, and `nbf` does not, but for five seconds.
/// The user is `nameid`, else `sub`. `groups` is a list of patterns and `rights` one of names, by default none and "read". A
/// lone text stands for a list of one.
Result<Identity> verify_token(std::string_view token, std::span<const SigningKey> keys,
                              std::span<const std::string_view> audiences, Time now, Expiry expiry = Expiry::checked);

/// HMAC-SHA-256 (RFC 2104), 32 bytes.
std::string hmac_sha256(std::string_view secret, std::string_view text);

}  // namespace millrace::http
