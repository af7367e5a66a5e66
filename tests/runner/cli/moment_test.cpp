#include "runner/cli/moment.h"

#include <catch2/catch.hpp>

using namespace millrace;
using namespace millrace::cli;

TEST_CASE("a person names a time in several ways") {
  const Time now = from_millis(1'700'000'000'000);
  CHECK(moment_of("-7d", now).value() == now - std::chrono::hours(168));
  CHECK(moment_of("-2h30m", now).value() == now - 150min);
  CHECK(moment_of("now", now).value() == now);
  CHECK(moment_of("2023-11-14T22:13:20Z", now).value() == now);
  CHECK(moment_of("2023-11-14T23:13:20.5+01:00", now).value() == now + 500ms);
  CHECK(moment_of("2023-11-14", now).value() == from_millis(1'699'920'000'000));
  CHECK(moment_of("1700000000123", now).value() == now + 123ms);
  for (const char* wrong : {"", "-", "7d", "soon", "-7", "2023-13-01", "12x"}) CHECK(moment_of(wrong, now).has_error());
  CHECK(shown(now) == "2023-11-14T22:13:20Z");
  CHECK(shown(now + 120ms) == "2023-11-14T22:13:20.12Z");
}
