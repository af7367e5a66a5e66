#include <catch2/catch.hpp>

#include "plugins/signalr/breath.h"

using namespace std::literals;
using millrace::signalr::Breath;

namespace {

const Breath::Clock::time_point start{1h};

/// What a turn waits for whose first record comes so long after a turn of that length.
Breath::Clock::duration wait(Breath::Clock::duration turn, Breath::Clock::duration after) {
  Breath breath;
  breath.turned(start, start + turn);
  return breath.before_turn(start + turn + after);
}

}  // namespace

TEST_CASE("a turn that closely follows a long one waits for an eighth of it, a millisecond at most") {
  CHECK(wait(4ms, 0ms) == 500us);
  CHECK(wait(4ms, 3999us) == 500us);
  CHECK(wait(1ms, 0ms) == 125us);
  CHECK(wait(8ms, 1ms) == 1ms);
  CHECK(wait(80ms, 1ms) == 1ms);
}

TEST_CASE("where turns are short, or there is time between them, nothing waits") {
  CHECK(Breath().before_turn(start) == 0ms);
  CHECK(wait(999us, 0ms) == 0ms);
  CHECK(wait(4ms, 4ms) == 0ms);
  CHECK(wait(4ms, 1h) == 0ms);
}

TEST_CASE("it is the last turn that counts") {
  Breath breath;
  breath.turned(start, start + 4ms);
  breath.turned(start + 4ms, start + 4100us);
  CHECK(breath.before_turn(start + 4100us) == 0ms);
  breath.turned(start + 5ms, start + 7ms);
  CHECK(breath.before_turn(start + 7ms) == 250us);
}
