#include "runner/stage/time.h"

#include <catch2/catch.hpp>

using namespace millrace;

namespace {
Time at(Duration since_noon) { return Time(20'000h + 12h + since_noon); }
}  // namespace

TEST_CASE("the clock follows the wall clock and its steps forward") {
  SystemClock clock;
  CHECK(clock.read(at(0s), 100s) == at(0s));
  CHECK(clock.read(at(5s), 105s) == at(5s));
  CHECK(clock.read(at(3605s), 105s) == at(3605s));
  CHECK(clock.read(at(3606s), 106s) == at(3606s));
}

TEST_CASE("after a step back the clock goes on, a little slower, until the wall clock has caught up") {
  SystemClock clock;
  clock.read(at(1h), 100s);
  CHECK(clock.read(at(0s), 100s) == at(1h));
  CHECK(clock.read(at(20s), 120s) == at(1h + 19s));
  Time last = at(1h + 19s);
  for (int minute = 1; minute <= 25 * 60; ++minute) {
    Time now = clock.read(at(20s + std::chrono::minutes(minute)), 120s + std::chrono::minutes(minute));
    REQUIRE(now > last);
    last = now;
  }
  CHECK(last == at(20s + 25h));
}
