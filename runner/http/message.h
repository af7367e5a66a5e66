#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::http {

using Header = std::pair<std::string, std::string>;

/// One request, complete with its body. The query may carry a token: it never goes into a log or an error.
struct Request {
  std::string method;  ///< as sent: "GET"
  std::string path;    ///< percent-decoded, without the query
  std::string query;   ///< undecoded, without the "?"
  std::vector<Header> headers;
  std::string body;
  std::string remote = {};         ///< address that it came from, without the port: a client's, or the proxy's before us
  bool secure = false;             ///< came over TLS
  bool loopback_listener = false;  ///< the listener is reachable from this machine alone

  /// The first header of that name, in any case; null if there is none.
  const std::string* header(std::string_view name) const;

  /// Whether a header that is a comma-separated list, such as Connection, contains `token`, in any case.
  bool header_has_token(std::string_view name, std::string_view token) const;

  /// The decoded value of a query parameter, its name in any case.
  std::optional<std::string> parameter(std::string_view name) const;

  /// All values of a query parameter that may be repeated.
  std::vector<std::string> parameters(std::string_view name) const;
};

/// What a handler answers. Content-Length, Date, Connection and nosniff are added by the listener.
struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<Header> headers = {};

  /// Sent in place of `body`; must outlive the listener. For embedded files.
  std::string_view lasting_body = {};
};

/// Names and values of headers, compared without case in ASCII.
bool equal_ignoring_case(std::string_view a, std::string_view b);

/// Undoes %XX; nothing where an escape is malformed or a NUL hides behind it. `plus_is_space` as in queries.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace millrace::http
