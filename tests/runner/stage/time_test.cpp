#include "runner/stage/time.h"

#include <catch2/catch.hpp>
#include <cstdlib>

using namespace millrace;

namespace {
Time at(Duration since_noon) { return Time(20'000h + 12h + since_noon); }

/// A machine whose wall clock a test sets, read each second.
struct Machine {
  SystemClock clock;
  Duration steady = 100s;
  Duration wrong{};  ///< of the wall clock
  Time now = clock.read(at(0s), steady);

  void pass(Duration time) {
    for (Duration until = steady + time; steady < until;) {
      steady += 1s;
      Time next = clock.read(at(steady - 100s + wrong), steady);
      REQUIRE(next >= now);
      now = next;
    }
  }
  /// How far from the time that it really is.
  Duration error() const { return now - at(steady - 100s); }
};
}  // namespace

TEST_CASE("the clock goes with the wall clock, also where that is slewed") {
  Machine machine;
  machine.pass(1h);
  CHECK(machine.error() == 0s);
  for (int second = 0; second < 3600; ++second) {
    machine.wrong += 500us;
    machine.pass(1s);
    REQUIRE(machine.error() == machine.wrong);
  }
}

TEST_CASE("an hour forward or back, for an hour, is no more than four seconds to those who wait and judge") {
  Duration step = GENERATE(Duration(1h), Duration(-1h), Duration(24h), Duration(-24h));
  Machine machine;
  machine.pass(11min);
  machine.wrong = step;
  machine.pass(1h);
  CHECK(std::abs(machine.error().count()) <= Duration(4s).count());
  CHECK(machine.error() != 0s);
  machine.wrong = 0s;
  machine.pass(2h);
  CHECK(machine.error() == 0s);
}

TEST_CASE("a machine that gets to know the time after it has booted is followed at once") {
  Machine machine;
  machine.pass(20s);
  machine.wrong = 30h;
  machine.pass(1s);
  CHECK(machine.error() == 30h);
}

TEST_CASE("readings in quick succession are drawn to the wall clock as well, and never go back") {
  SystemClock clock;
  clock.read(at(0s), 0s);
  Duration steady = SystemClock::setting;
  Time last = clock.read(at(steady), steady);
  for (int reading = 0; reading < 1'000'000; ++reading) {
    steady += 100us;
    Time now = clock.read(at(steady - 1h), steady);
    REQUIRE(now >= last);
    last = now;
  }
  CHECK(at(steady) - last >= 99ms);
  CHECK(at(steady) - last <= 101ms);
}
