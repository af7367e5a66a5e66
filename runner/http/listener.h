#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "runner/http/address.h"
#include "runner/http/routes.h"
#include "runner/stage/context.h"
#include "runner/stage/error.h"

namespace millrace::http {

struct Tls {
  std::filesystem::path cert;  ///< PEM, the chain
  std::filesystem::path key;   ///< PEM

  friend bool operator==(const Tls&, const Tls&) = default;
};

/// What one listener lets happen. Beyond it a request is refused or its connection closed.
struct Limits {
  std::size_t header_bytes = 16U << 10U;
  std::size_t body_bytes = 1U << 20U;
  std::chrono::milliseconds request_time = std::chrono::seconds(10);  ///< from the first byte to the last of a request
  std::chrono::milliseconds idle_time = std::chrono::seconds(60);     ///< between requests, and for a stuck answer
  std::size_t connections = 20'000;                                   ///< taken-over ones included

  friend bool operator==(const Limits&, const Limits&) = default;
};

/// Whether a listener asks for tokens.
enum class Auth {
  automatic,  ///< beyond loopback
  required,   ///< always
  none,       ///< never: everybody may do everything
};

class TokenKeys;

struct ListenOptions {
  Address address;
  std::optional<Tls> tls;
  bool insecure = false;  ///< allows an address beyond loopback without TLS
  Auth auth = Auth::automatic;
  std::shared_ptr<TokenKeys> keys = nullptr;  ///< of the tokens; without any no token is good
  Limits limits = {};

  friend bool operator==(const ListenOptions&, const ListenOptions&) = default;
};

/// Figures of a listener, for /metrics.
struct ListenerCounters {
  Counter connections;  ///< open now
  Counter accepted;
  Counter requests;
  Counter refused_full;       ///< connections beyond the limit
  Counter refused_malformed;  ///< requests that were not HTTP, or ambiguous
  Counter timed_out;          ///< slow headers, slow bodies, idle
};

/// One address, one thread, all its connections. HTTP/1.1 only. Construct, add routes, start; routes come and go at run time.
class Listener {
 public:
  using Log = std::function<void(LogLevel, std::string_view)>;

  explicit Listener(ListenOptions options, Log log = {});
  ~Listener();  ///< stops
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// Binds and serves; returns the port. `invalid` if the options are unsafe or the certificate is unusable, `unavailable` if
  /// the address is occupied.
  Result<std::uint16_t> start();

  /// Accepts no more, lets answers and closing handshakes end within `grace`, then closes what is left. Once.
  void stop(std::chrono::milliseconds grace = std::chrono::milliseconds(500));

  /// Takes up certificate and key where their files have changed, for the connections to come; those that are there go on. An
  /// error leaves the former ones in use, and is not told again until a file changes. True if there are new ones. Any one
  /// thread.
  Result<bool> renew_certificate();

  Routes& routes();
  const ListenOptions& options() const;
  const ListenerCounters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Answers of /readyz: whether all stages are connected, and a JSON text that says which are not.
struct Readiness {
  bool ready = false;
  std::string json;
};

/// Handlers for what every listener serves. The callbacks run on the loop's thread and must not wait.
Handler serve_health();                                         ///< /healthz: the process lives
Handler serve_readiness(std::function<Readiness()> readiness);  ///< /readyz: 200 or 503
Handler serve_metrics(std::function<std::string()> text);       ///< /metrics: Prometheus text

}  // namespace millrace::http
