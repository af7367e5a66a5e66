#include "runner/http/rate_limit.h"

#include <catch2/catch.hpp>

using namespace millrace::http;
using namespace std::chrono_literals;

namespace {

/// How many of `tries` are let through.
int let_through(RateLimit& limit, std::string_view asker, RateLimit::Time now, int tries) {
  int count = 0;
  for (int i = 0; i < tries; ++i)
    if (!limit.exceeded(asker, now)) ++count;
  return count;
}

}  // namespace

TEST_CASE("an asker may do so much at once, then at the rate, and is told when to come again") {
  RateLimit limit({.per_second = 0.5, .at_once = 3});
  RateLimit::Time now{};
  CHECK(let_through(limit, "a", now, 10) == 3);
  CHECK(limit.exceeded("a", now) == 2s);
  CHECK(limit.exceeded("a", now + 1500ms) == 1s);
  CHECK_FALSE(limit.exceeded("a", now + 2s));
  CHECK(limit.exceeded("a", now + 2s) == 2s);
  // A long pause fills the bucket, and no more than that.
  CHECK(let_through(limit, "a", now + 24h, 10) == 3);
}

TEST_CASE("being refused costs nothing: who keeps asking gets its share all the same") {
  RateLimit limit({.per_second = 8, .at_once = 1});
  RateLimit::Time now{};
  int count = 0;
  for (int i = 0; i < 800; ++i, now += 15'625us)  // an eighth of what one takes
    if (!limit.exceeded("eager", now)) ++count;
  CHECK(count == 100);
}

TEST_CASE("askers do not use up each other's share") {
  RateLimit limit({.per_second = 1, .at_once = 5});
  CHECK(let_through(limit, "a", {}, 10) == 5);
  CHECK(let_through(limit, "b", {}, 10) == 5);
}

TEST_CASE("beyond the askers that are remembered the one silent for longest begins anew, the others do not") {
  RateLimit limit({.per_second = 0.001, .at_once = 1});
  RateLimit::Time now{};
  for (std::size_t i = 0; i < RateLimit::most_askers; ++i) CHECK_FALSE(limit.exceeded("asker " + std::to_string(i), now));
  CHECK(limit.exceeded("asker 0", now));  // heard of again: asker 1 is now the one silent for longest
  CHECK_FALSE(limit.exceeded("one more", now));
  CHECK(limit.exceeded("asker 0", now));
  CHECK(limit.exceeded("asker 2", now));
  CHECK_FALSE(limit.exceeded("asker 1", now));
}

TEST_CASE("a clock that stands still or goes back gives nothing") {
  RateLimit limit({.per_second = 1000, .at_once = 1});
  RateLimit::Time now{1h};
  CHECK_FALSE(limit.exceeded("a", now));
  CHECK(limit.exceeded("a", now));
  CHECK(limit.exceeded("a", now - 10min));
}

TEST_CASE("an asker is a token's user, else an address, or the network of an IPv6 address") {
  auto from = [](std::string remote) { return Request{.remote = std::move(remote)}; };
  Identity ann{.user = "ann"};
  CHECK(asker_of(from("10.0.0.7"), ann) == asker_of(from("10.0.0.8"), ann));
  CHECK(asker_of(from("10.0.0.7"), {}) != asker_of(from("10.0.0.8"), {}));
  CHECK(asker_of(from("2001:db8:1:2::1"), {}) == asker_of(from("2001:db8:1:2:ffff::9"), {}));
  CHECK(asker_of(from("2001:db8:1:2::1"), {}) != asker_of(from("2001:db8:1:3::1"), {}));
  CHECK(asker_of(from("10.0.0.7"), {}) != asker_of(from(""), {.user = "10.0.0.7"}));
  CHECK(asker_of(from("127.0.0.1"), ann) == asker_of(from("10.0.0.7"), ann));
  for (const char* here : {"127.0.0.1", "127.9.9.9", "::1"}) CHECK_FALSE(asker_of(from(here), {}));
}

TEST_CASE("the refusal is 429 with Retry-After") {
  Response response = too_many_requests(7s);
  CHECK(response.status == 429);
  CHECK(response.headers.front() == Header{"Retry-After", "7"});
}
