#include "runner/mqtt/takeover.h"

#include <catch2/catch.hpp>

namespace {

using namespace millrace;
using Catch::Contains;
using mqtt::TakeoverSign;

struct Case {
  TakeoverSign sign;
  mqtt::Broker broker;
  Time now = from_millis(1'000'000);

  Case() { broker.client_id = "porch"; }
  std::string lives(Duration time) {
    sign.connected(now);
    now += time;
    return sign.lost(now, broker).what;
  }
};

TEST_CASE("a connection that ends soon after it was made, three times in a row, has a probable cause") {
  Case c;
  CHECK(c.lives(1s) == "lost the connection to mqtt://127.0.0.1:1883");
  CHECK(c.lives(20s) == "lost the connection to mqtt://127.0.0.1:1883");
  CHECK_THAT(c.lives(1ms), Contains("3 times in a row") && Contains("another client has the client_id 'porch'"));
  CHECK_THAT(c.lives(1ms), Contains("4 times in a row"));
}

TEST_CASE("a connection that has lasted clears another client of suspicion") {
  Case c;
  for (int i = 0; i < 4; ++i) c.lives(1s);
  CHECK_THAT(c.lives(TakeoverSign::lasting), !Contains("another client"));
  CHECK_THAT(c.lives(1s), !Contains("another client"));
}

TEST_CASE("a loss without a connection counts nothing") {
  Case c;
  for (int i = 0; i < 10; ++i) CHECK_THAT(c.sign.lost(c.now, c.broker).what, !Contains("another client"));
}

}  // namespace
