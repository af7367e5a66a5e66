#pragma once

#include <memory>
#include <string>
#include <vector>

#include "plugins/signalr/hub.h"
#include "runner/http/routes.h"

// What the test hub shows besides its hubs, for the functional tests of Microsoft's TypeScript client.
namespace millrace::test {

/// JSON Web Tokens of a test user, good for 5 seconds.
class Tokens {
 public:
  std::string make() const;

  /// Whether a request has one, in its header or in its query.
  bool allow(const http::Request& request) const;
};

/// Two cookies to keep and one that has expired, as negotiate sets them; `secure` ones, over TLS, for pages of any origin.
std::vector<http::Header> negotiation_cookies(bool secure);

/// Makes a hub give back whatever it is sent. Clients without the cookie of its negotiation are let go, but for WebSockets.
void serve_echo(signalr::Hub& hub, bool secure);

struct Faces {
  std::vector<std::string> origins;  ///< whose pages may read
  Tokens tokens;
  std::string webworker;  ///< a file to serve; empty for none
  bool secure = false;    ///< behind TLS
};

/// Redirects to /echo and to the hub, tokens, a call of a client by its id on the hub that is `current`, a failing negotiation,
/// and the file.
std::vector<http::Route> add_faces(http::Routes& routes, const Faces& faces,
                                   std::shared_ptr<std::weak_ptr<signalr::Hub>> current);

}  // namespace millrace::test
