#include "runner/http/rate_limit.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <cmath>

namespace millrace::http {

RateLimit::Buckets::iterator RateLimit::bucket_of(std::string_view asker, Time now) {
  if (auto found = places_.find(asker); found != places_.end()) {
    buckets_.splice(buckets_.end(), buckets_, found->second);
    return found->second;
  }
  if (buckets_.size() >= most_askers) {
    places_.erase(buckets_.front().asker);
    buckets_.pop_front();
  }
  auto made = buckets_.insert(buckets_.end(), {.asker = std::string(asker), .left = rate_.at_once, .at = now});
  places_.emplace(made->asker, made);
  return made;
}

std::optional<std::chrono::seconds> RateLimit::exceeded(std::string_view asker, Time now) {
  Bucket& bucket = *bucket_of(asker, now);
  double passed = std::max(0.0, std::chrono::duration<double>(now - bucket.at).count());
  bucket.left = std::min(rate_.at_once, bucket.left + passed * rate_.per_second);
  bucket.at = now;
  if (bucket.left < 1) {
    constexpr double longest = 3600;
    double seconds = std::min(longest, std::ceil((1 - bucket.left) / rate_.per_second));
    return std::chrono::seconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(seconds)));
  }
  bucket.left -= 1;
  return std::nullopt;
}

std::optional<std::string> asker_of(const Request& request, const Identity& identity) {
  if (!identity.user.empty()) return "user " + identity.user;
  boost::system::error_code error;
  auto address = boost::asio::ip::make_address(request.remote, error);
  if (!error && address.is_loopback()) return std::nullopt;
  if (error || address.is_v4()) return "address " + request.remote;
  auto bytes = address.to_v6().to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return "address " + boost::asio::ip::address_v6(bytes).to_string();
}

Response too_many_requests(std::chrono::seconds again) {
  return {.status = 429,
          .body = "Too many requests: come again later.\n",
          .headers = {{"Retry-After", std::to_string(again.count())}, {"Cache-Control", "no-store"}}};
}

}  // namespace millrace::http
