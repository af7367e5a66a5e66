#include <fstream>

#include "plugins/alert/stage_bench.h"

using namespace millrace;
using namespace millrace::alert::test;

TEST_CASE("a device that falls silent is missed, and one that never spoke") {
  Bench bench("no_data: {after: 60s, severity: warning, expect: [b]}\ntime: {catch_up: 0s}\n");
  bench.feed({{"a", 1'000, 50}});
  bench.pass(from_millis(61'001));
  CHECK(bench.seen == Lines{"alert b OK>FIRING warning condition", "alert a OK>FIRING warning condition"});
  bench.feed({{"a", 70'000, 50}});
  CHECK(bench.seen.back() == "alert a FIRING>OK warning resolved");
}

TEST_CASE("keys that are expected may stand in a file, one a line") {
  TempFolder folder;
  const auto file = folder.path() / "devices.txt";
  std::ofstream(file) << "attic\r\n\ncellar\n";
  Bench bench("no_data: {after: 60s, severity: warning, expect: " + file.string() + "}\ntime: {catch_up: 0s}\n");
  bench.pass(from_millis(61'000));
  CHECK(bench.seen == Lines{"alert attic OK>FIRING warning condition", "alert cellar OK>FIRING warning condition"});
  CHECK(problems_of("no_data: {after: 60s, expect: " + file.string() + "x}").find("devices.txtx") != std::string::npos);
}

TEST_CASE("a device that stays away for a week is forgotten, quietly, and missed anew once it has spoken again") {
  constexpr std::int64_t week = 7LL * 24 * 3600 * 1000;
  Bench bench("no_data: {after: 60s, severity: warning}\ntime: {catch_up: 0s}\n");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.pass(from_millis(1'059'999 + week));
  CHECK(notifications(bench) == Lines{"firing"});
  bench.seen.clear();
  bench.pass(from_millis(1'061'000 + week));
  CHECK(bench.seen == Lines{"alert a FIRING>OK warning key_forgotten"});
  bench.seen.clear();
  bench.pass(from_millis(1'061'000 + 2 * week));
  CHECK(bench.seen.empty());
  bench.feed({{"a", 1'070'000 + 2 * week, 50}});
  bench.pass(from_millis(1'131'000 + 2 * week));
  REQUIRE(!bench.seen.empty());
  CHECK(bench.seen.front() == "alert a OK>FIRING warning condition");
}
