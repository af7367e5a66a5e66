#include "plugins/alert/stage_bench.h"
#include "runner/stage/wall_clock.h"

// What a device has stored while it could not be heard, and days that are not of 24 hours where people live.

using namespace millrace;
using namespace millrace::alert::test;

namespace {

constexpr std::int64_t second = 1000;
constexpr std::int64_t minute = 60 * second;
constexpr std::int64_t hour = 60 * minute;

std::string rules_with(const std::string& late) {
  return "time: {late: " + late + R"(, catch_up: 0s}
no_data: {after: 60s, severity: warning}
rules:
  jump: {watch: {rise: humidity, within: 30s}, above: 10, clear: {below: 5}, severity: warning, repeat: 30m}
  mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 60, severity: warning}
)";
}

/// Each second of the hour before `now`; humidity jumps at its middle, for a minute.
std::vector<Reading> stored_hour(std::int64_t now) {
  std::vector<Reading> stored;
  for (std::int64_t at = now - hour; at < now; at += second) {
    const bool high = at >= now - 30 * minute && at < now - 29 * minute;
    stored.push_back({"a", at, high ? 65.0 : 50.0});
  }
  return stored;
}

/// All of it arrives now.
void bring(Bench& bench, const std::vector<Reading>& stored, std::int64_t now) {
  Batch batch = batch_of(stored);
  for (Record& record : batch.records) record.arrival = from_millis(now);
  bench.host->time.set(from_millis(now));
  bench.note(bench.stage->process(std::move(batch)).value());
}

/// Has been silent for an hour when it comes back.
void fall_silent(Bench& bench, std::int64_t now) {
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", now - hour - second, 50}});
  bench.pass(from_millis(now));
  REQUIRE(notifications(bench) == Lines{"firing"});
  bench.seen.clear();
}

}  // namespace

TEST_CASE("an hour of stored readings that arrives late raises nothing, and tells that its device is heard again") {
  constexpr std::int64_t now = 100 * hour;
  Bench bench(rules_with("5s"));
  fall_silent(bench, now);
  bring(bench, stored_hour(now), now);
  CHECK(bench.seen == Lines{"alert a FIRING>OK warning resolved", "notification resolved a a: data comes again"});
  CHECK(bench.host->dropped("late").value() == 3595);
  bench.seen.clear();
  bench.pass(from_millis(now + 59 * second));
  CHECK(bench.seen.empty());
}

TEST_CASE("an hour of stored readings that is in time is judged by the devices' clocks, and dated by them") {
  constexpr std::int64_t now = 100 * hour;
  Bench bench(rules_with("2h"));
  fall_silent(bench, now);
  bench.use_file();
  bench.seen.clear();
  bring(bench, stored_hour(now), now);
  const std::int64_t jumped = now - 30 * minute;
  const auto jump = bench.timeline("test/climate/jump/a#1");
  REQUIRE(jump.size() == 2);
  CHECK(jump[0].event_ms == jumped);
  CHECK(jump[1].event_ms == jumped + 29 * second);
  const auto mean = bench.timeline("test/climate/mean/a#1");
  REQUIRE(mean.size() == 2);
  CHECK(mean[0].event_ms == jumped + 10 * second);
  CHECK(mean[1].event_ms == jumped + 70 * second);
  CHECK(bench.timeline("test/climate/jump/a#2").empty());
  CHECK(bench.host->dropped("late").value() == 0);
  CHECK(bench.host->dropped("out_of_order").value() == 0);
}

TEST_CASE("days with an offset are of 24 hours, also where summer time begins or ends") {
  // Midnight in Berlin in winter is 23:00 UTC. Summer time began on 29 March 2026 and ended on 25 October.
  for (std::int64_t midnight : {1774652400000, 1792796400000}) {
    Bench bench(R"(
time: {late: 5s, catch_up: 0s}
rules:
  day: {watch: {avg: humidity, within: 1d, every: 1d, offset: 23h}}
)");
    for (int i = 1; i <= 13; ++i) bench.feed({{"a", midnight + i * 6 * hour, i <= 4 ? 10.0 : i <= 8 ? 20.0 : 30.0}});
    Lines expected;
    for (int day = 0; day < 3; ++day)
      expected.push_back("window a " + std::to_string(midnight + day * 24 * hour) + ".." +
                         std::to_string(midnight + (day + 1) * 24 * hour) + " " + std::to_string(day + 1) + "0.0");
    CHECK(bench.seen == expected);
  }
}
