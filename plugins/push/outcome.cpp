#include "plugins/push/outcome.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>

namespace millrace::push {

Outcome classify(long status) {
  if (status >= 200 && status < 300) return Outcome::accepted;
  switch (status) {
    case 401:
    case 403: return Outcome::credentials;
    case 404:
    case 410: return Outcome::target_dead;
    case 408:  // the server gave up waiting
    case 425: return Outcome::transient;
    case 429: return Outcome::throttled;
    case 301:  // redirects are not followed: a moved target is for its owner to write down
    case 308: return Outcome::target_dead;
    default: return status >= 400 && status < 500 ? Outcome::message_bad : Outcome::transient;
  }
}

Duration pause_before(const RetryPlan& plan, std::string_view id, std::uint32_t attempt) {
  Duration ceiling = plan.first;
  for (std::uint32_t i = 1; i < attempt && ceiling < plan.max; ++i) ceiling *= 2;
  ceiling = std::min(ceiling, plan.max);

  // FNV-1a, then the finaliser of MurmurHash3: spreads ids and attempts evenly.
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  hash ^= attempt * 0x9E3779B97F4A7C15U;
  hash = (hash ^ hash >> 33U) * 0xFF51AFD7ED558CCDU;
  hash = (hash ^ hash >> 33U) * 0xC4CEB9FE1A85EC53U;
  hash ^= hash >> 33U;
  return Duration(static_cast<std::int64_t>(hash % static_cast<std::uint64_t>(ceiling.count() + 1)));
}

std::optional<Duration> parse_retry_after(std::string_view header, Time now) {
  std::uint32_t seconds = 0;
  auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), seconds);
  if (error == std::errc{} && end == header.data() + header.size()) return std::chrono::seconds(seconds);
  std::time_t date = curl_getdate(std::string(header).c_str(), nullptr);
  if (date < 0) return std::nullopt;
  return std::max<Duration>(Duration::zero(), Time{std::chrono::seconds(date)} - now);
}

}  // namespace millrace::push
