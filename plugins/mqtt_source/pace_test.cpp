#include "plugins/mqtt_source/pace.h"

#include <catch2/catch.hpp>

namespace {

using namespace millrace;
using mqtt_source::Pace;

TEST_CASE("single messages and a burst after a rest leave the stage wakeable") {
  Pace pace;
  CHECK_FALSE(pace.polled(Time{10s}, 100));
  CHECK_FALSE(pace.busy());
  for (int ms = 1; ms < 50; ++ms) {
    CHECK_FALSE(pace.polled(Time{10s} + ms * 1ms, 7));
    CHECK_FALSE(pace.busy());
  }
}

TEST_CASE("under load it looks each millisecond, and says when calm sets in") {
  Pace pace;
  pace.polled(Time{10s}, 1);
  for (int us = 100; us < 1000; us += 100) CHECK_FALSE(pace.polled(Time{10s} + us * 1us, 1));
  CHECK_FALSE(pace.busy());
  pace.polled(Time{10s} + 1ms, 1);
  CHECK(pace.busy());
  CHECK(pace.next() == Time{10s} + 2ms);
  CHECK_FALSE(pace.polled(Time{10s} + 2ms, 20));
  CHECK(pace.busy());
  for (int ms = 3; ms < 22; ++ms) {
    CHECK_FALSE(pace.polled(Time{10s} + ms * 1ms, 2));
    CHECK(pace.busy());
  }
  CHECK(pace.polled(Time{10s} + 22ms, 2));
  CHECK_FALSE(pace.busy());
}

TEST_CASE("a clock that jumps back does not keep it busy for ever") {
  Pace pace;
  pace.polled(Time{10s}, 1);
  pace.polled(Time{10s} + 1ms, 100);
  CHECK(pace.busy());
  int polls = 0;
  while (pace.busy() && polls < 100) pace.polled(Time{5s} + ++polls * 1ms, 0);
  CHECK(polls == Pace::patience);
}

}  // namespace
