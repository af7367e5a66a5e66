#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/context.h"

namespace millrace::signalr {

/// Where events of the hub are posted, as Azure SignalR Service does in serverless mode.
struct UpstreamRule {
  std::string url;                      ///< with {hub}, {category} and {event}
  std::vector<std::string> categories;  ///< "connections", "messages"; empty: all
  std::vector<std::string> events;      ///< "connected", "disconnected", a method's name; empty: all

  bool matches(std::string_view category, std::string_view event) const;
  friend bool operator==(const UpstreamRule&, const UpstreamRule&) = default;
};

/// One event of a connection.
struct UpstreamEvent {
  std::string hub, connection, user;
  std::string category, event;
  std::string claims = {};  ///< "name: value, name: value"
  std::string query = {};   ///< of the request that the client came with, without its tokens
  std::string body = {};    ///< JSON
  bool repeatable = true;   ///< may be posted again though it may have arrived
};

/// What an upstream has answered.
struct UpstreamAnswer {
  int status = 0;  ///< 0: nobody did
  std::string body;
};

/// Posts events to the first rule that matches, those of one connection in order, on threads of its own. At most so many wait;
/// one more is answered at once with status 503 and counted. A failed attempt is repeated twice, after 1 and 4 seconds; one
/// that may have arrived and is not repeatable is not.
class Upstream {
 public:
  static constexpr std::size_t most_waiting = 1000;  ///< on each thread
  static constexpr std::size_t largest_answer = 1U << 20U;

  struct Counters {
    Counter sent, failed, retried, dropped;
  };

  /// `keys` are asked at each attempt: the first two sign. `answered` is called on one of the threads.
  Upstream(std::vector<UpstreamRule> rules, std::function<std::vector<std::string>()> keys);
  ~Upstream();
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;

  using Answered = std::function<void(UpstreamAnswer)>;

  /// False, and nothing is called, if no rule matches. Any thread.
  bool post(UpstreamEvent event, Answered answered = {});

  const Counters& counters() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// `sha256=` and the HMAC-SHA-256 of the connection's id in hex, for each key, with commas between.
std::string upstream_signature(std::string_view connection, const std::vector<std::string>& keys);

/// The URL for an event, what is filled in escaped.
std::string upstream_url(std::string_view url, const UpstreamEvent& event);

}  // namespace millrace::signalr
