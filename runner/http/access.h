#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/http/identity.h"
#include "runner/http/message.h"
#include "runner/http/origin.h"
#include "runner/http/routes.h"
#include "runner/http/token.h"
#include "runner/stage/time.h"

namespace millrace::http {

class TokenKeys;

/// Who may do what on a listener: every handler of the client plane asks here. Any thread.
///
///   auto who = access.identify(request);
///   if (!who) return exchange.respond(Access::unauthorized());
///   if (!who->may(Right::ack)) return exchange.respond(Access::forbidden());
class Access {
 public:
  /// Where a request may carry its token, and what for.
  struct Credentials {
    std::string_view audience = {};  ///< allowed besides the client plane's: a hub's path
    bool in_query = false;           ///< also as `access_token`: for the transports of browsers, which cannot send headers
    Expiry expiry = Expiry::checked;
  };

  /// Without keys no token is good, or, where none is required, no token is looked at. `clock` outlives it; the wall clock if
  /// null.
  explicit Access(bool required = false, std::shared_ptr<TokenKeys> keys = nullptr, const Clock* clock = nullptr);
  ~Access();
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;

  /// Whether who brings no token is refused.
  bool required() const { return required_; }

  /// Who asks, by `Authorization: Bearer`, the session's cookie, or the query; nothing if they must be refused. Where no token
  /// is required, who brings none is anyone; a token that is not good is refused all the same. A cookie counts only for the
  /// listener's own pages: browsers send it for others, too.
  std::optional<Identity> identify(const Request& request, const Credentials& credentials) const;
  std::optional<Identity> identify(const Request& request) const { return identify(request, Credentials{}); }

  /// Who a token's bearer is.
  Result<Identity> verify(std::string_view token, std::string_view audience = {}) const;

  /// Who a token's bearer is that is for one of `audiences` and nothing else.
  Result<Identity> verify_only(std::string_view token, std::span<const std::string_view> audiences) const;

  /// A token of `identity` for `audience`, good for `lifetime` or as long as the identity, whichever ends first; with its
  /// expiry. ErrorKind::unavailable without keys.
  struct Minted {
    std::string token;
    Time expires;
  };
  Result<Minted> mint(Identity identity, std::string_view audience, Duration lifetime) const;

  /// The keys as they stand; empty without any.
  std::vector<SigningKey> keys() const;

  Time now() const { return clock_->now(); }

  /// The token of a request's Authorization header, if it has just one and a bearer's.
  static std::optional<std::string> bearer(const Request& request);

  /// 401: comes again with a token. 403: may not do this.
  static Response unauthorized();
  static Response forbidden();

 private:
  const bool required_;
  const std::shared_ptr<TokenKeys> keys_;
  std::unique_ptr<const Clock> own_clock_;
  const Clock* clock_;
};

/// `handler` for those alone who have the right; others get 401 or 403.
Handler demand(std::shared_ptr<const Access> access, Right right, Handler handler);

/// The token that a page has signed in with, in a cookie that scripts cannot read. For Routes::add("/api/session", ...):
/// POST with a bearer token sets the cookie, for as long as the token is good; DELETE takes it away; GET says who asks, as
/// {"required", "user", "rights", "groups", "expires"}, or 401.
Handler serve_session(std::shared_ptr<const Access> access);

}  // namespace millrace::http
