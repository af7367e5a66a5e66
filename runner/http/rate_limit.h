#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "runner/http/identity.h"
#include "runner/http/loop.h"
#include "runner/http/message.h"

namespace millrace::http {

/// How often something may be done: on average, and in a burst after a pause.
struct Rate {
  double per_second = 1;
  double at_once = 1;  ///< at least 1

  friend bool operator==(const Rate&, const Rate&) = default;
};

/// Keeps each of many askers within a rate: a token bucket for each. Of the askers beyond `most_askers` the one that has been
/// silent for longest is forgotten, and begins anew. Belongs to one thread; takes constant time.
class RateLimit {
 public:
  using Time = Loop::Clock::time_point;
  static constexpr std::size_t most_askers = 10'000;

  explicit RateLimit(Rate rate) : rate_(rate) {}

  /// Counts one for the asker and says nothing if it is within the rate; else counts nothing and says when to come again.
  std::optional<std::chrono::seconds> exceeded(std::string_view asker, Time now);

 private:
  struct Bucket {
    std::string asker;
    double left;
    Time at;
  };
  using Buckets = std::list<Bucket>;

  Buckets::iterator bucket_of(std::string_view asker, Time now);

  Rate rate_;
  Buckets buckets_;  ///< the one silent for longest first
  std::unordered_map<std::string_view, Buckets::iterator> places_;
};

/// Who asks, to be told from others: the user of a token or, where it names none, the address, of IPv6 the network that one
/// household has (the first 64 bits). Nobody to be limited where it names none and the request comes from this machine.
std::optional<std::string> asker_of(const Request& request, const Identity& identity);

/// 429, which says when to come again.
Response too_many_requests(std::chrono::seconds again);

}  // namespace millrace::http
