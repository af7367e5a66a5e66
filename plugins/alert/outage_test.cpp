#include "plugins/alert/stage_bench.h"
#include "runner/stage/outages.h"
#include "runner/stage/wall_clock.h"

// Sources that are cut off, and bring later what they could not.

using namespace millrace;
using namespace millrace::alert::test;

namespace {

constexpr std::int64_t second = 1000;

const std::string rules = R"(
time: {late: 5s, catch_up: 60s}
no_data: {after: 40s, severity: info}
rules:
  jump: {watch: {rise: humidity, within: 30s}, above: 10, clear: {below: 5}, severity: warning}
  mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 60, severity: critical}
)";

/// A stage over one source, number 1, that keeps what it cannot bring at once.
struct Kept : Bench {
  explicit Kept(const std::string& yaml = rules) : Bench(yaml) {
    host->provide(outages);
    host->time.set(from_millis(0));
    outages.away(1, host->time.now());
    outages.back(1, host->time.now());
    start();
  }

  /// As the source stamps a backlog that comes at `now`: as if it had come when it happened.
  void bring(std::int64_t now, const std::vector<Reading>& readings) {
    pass(from_millis(now));
    note(stage->process(batch_of(readings)).value());
  }

  /// A reading each second, with numbers of their own.
  std::vector<Reading> readings(std::int64_t from, std::int64_t to, double humidity, const char* device = "a") {
    std::vector<Reading> all;
    for (std::int64_t at = from; at <= to; at += second) all.push_back({device, at, humidity, ++number});
    return all;
  }

  void live(std::int64_t from, std::int64_t to, double humidity, const char* device = "a") {
    for (const Reading& reading : readings(from, to, humidity, device)) feed({reading});
  }

  void cut(std::int64_t at) {
    pass(from_millis(at));
    outages.away(1, from_millis(at));
  }
  void restore(std::int64_t at) {
    pass(from_millis(at));
    outages.back(1, from_millis(at));
  }

  std::uint64_t misordered() { return host->dropped("out_of_order").value() + host->dropped("late").value(); }

  Outages outages;
  std::uint64_t number = 0;
};

}  // namespace

TEST_CASE("what a source could not bring for longer than `late` is judged by when it was, and nothing of it is dropped") {
  Kept bench;
  bench.live(1 * second, 10 * second, 50);
  bench.cut(10 * second);
  bench.restore(40 * second);
  auto backlog = bench.readings(11 * second, 20 * second, 50);
  for (const Reading& reading : bench.readings(21 * second, 25 * second, 65)) backlog.push_back(reading);
  for (const Reading& reading : bench.readings(26 * second, 39 * second, 50)) backlog.push_back(reading);
  bench.bring(40 * second, backlog);
  CHECK(bench.misordered() == 0);
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition", "alert a FIRING>OK warning resolved"});
  // From its first record of the present on, time goes on by itself again.
  bench.seen.clear();
  bench.live(41 * second, 45 * second, 80);
  bench.pass(from_millis(56 * second));
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition", "alert a OK>FIRING critical condition"});
}

TEST_CASE("an outage that is over before the stage looks at anything is none the less heeded") {
  Kept bench;
  bench.live(1 * second, 10 * second, 50);
  bench.outages.away(1, from_millis(11 * second));
  bench.outages.back(1, from_millis(35 * second));
  bench.host->time.set(from_millis(35 * second));
  bench.note(bench.stage->tick(bench.host->time.now()).value());
  bench.bring(35 * second, bench.readings(11 * second, 34 * second, 50));
  CHECK(bench.misordered() == 0);
}

TEST_CASE("keys of other sources go on by the clock while one is cut off") {
  Kept bench;
  bench.live(1 * second, 10 * second, 50);
  bench.cut(10 * second);
  Batch other = batch_of({{"b", 15 * second, 70}});
  bench.pass(from_millis(15 * second));
  bench.note(bench.stage->process(std::move(other)).value());
  bench.pass(from_millis(26 * second));
  CHECK(bench.seen == Lines{"alert b OK>FIRING critical condition"});
}

TEST_CASE("a device counts as silent while its source is cut off, but not while what it said is on its way") {
  Kept bench;
  bench.live(1 * second, 10 * second, 50);
  bench.cut(10 * second);
  bench.pass(from_millis(49 * second));
  CHECK(bench.seen.empty());
  SECTION("cut off for long") {
    bench.pass(from_millis(51 * second));
    CHECK(bench.seen == Lines{"alert a OK>FIRING info condition"});
    bench.seen.clear();
    bench.restore(60 * second);
    bench.bring(60 * second, bench.readings(11 * second, 59 * second, 50));
    CHECK(bench.seen == Lines{"alert a FIRING>OK info resolved"});
  }
  SECTION("back in time") {
    bench.restore(49 * second);
    bench.bring(55 * second, bench.readings(11 * second, 54 * second, 50));
    CHECK(bench.seen.empty());
  }
  SECTION("back, and it has nothing") {
    bench.restore(49 * second);
    bench.pass(from_millis(108 * second));
    CHECK(bench.seen.empty());
    bench.pass(from_millis(109 * second));
    CHECK(bench.seen == Lines{"alert a OK>FIRING info condition"});
  }
}

TEST_CASE("windows that were open when a source was cut off close when it has brought nothing for `catch_up`") {
  Kept bench;
  bench.live(11 * second, 12 * second, 70);
  bench.cut(13 * second);
  bench.restore(30 * second);
  bench.pass(from_millis(89 * second));
  CHECK(bench.seen.empty());
  bench.pass(from_millis(90 * second));
  CHECK(bench.seen == Lines{"alert a OK>FIRING critical condition", "alert a OK>FIRING info condition"});
}

TEST_CASE("a stage that is lost while its source is cut off goes on where event time stood") {
  Kept bench(
      "{time: {late: 5s}, rules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 60, severity: critical}}}");
  bench.live(1 * second, 11 * second, 50);
  bench.cut(12 * second);
  bench.pass(from_millis(100 * second));
  bench.note(bench.stage->finish(End::shutdown).value());
  bench.host->time.set(from_millis(101 * second));
  bench.start();
  bench.pass(from_millis(170 * second));
  bench.restore(171 * second);
  bench.bring(171 * second, bench.readings(12 * second, 60 * second, 70));
  CHECK(bench.misordered() == 0);
  CHECK(bench.seen == Lines{"alert a OK>FIRING critical condition"});
}

TEST_CASE("keys that share one time line stand still together") {
  Kept bench(
      R"({time: {late: 5s, scope: source}, rules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 60, severity: critical}}})");
  bench.live(1 * second, 5 * second, 70);
  bench.live(6 * second, 9 * second, 70, "b");
  bench.cut(9 * second);
  bench.pass(from_millis(40 * second));
  CHECK(bench.seen.empty());
  bench.restore(40 * second);
  bench.bring(40 * second, bench.readings(10 * second, 14 * second, 50));
  CHECK(bench.seen == Lines{"alert a OK>FIRING critical condition", "alert b OK>FIRING critical condition"});
  CHECK(bench.misordered() == 0);
}

TEST_CASE("a machine that slept does not go past what its sources bring once they have found out") {
  struct : WallClock {
    Duration ahead() const override { return {}; }
  } wall;
  Kept bench(
      "{time: {late: 5s}, rules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 60, severity: critical}}}");
  bench.host->provide<WallClock>(wall);
  bench.start();
  bench.live(1 * second, 11 * second, 50);
  bench.host->time.set(from_millis(3600 * second));
  bench.note(bench.stage->tick(bench.host->time.now()).value());
  bench.cut(3602 * second);
  bench.restore(3604 * second);
  bench.bring(3604 * second, bench.readings(12 * second, 60 * second, 70));
  CHECK(bench.misordered() == 0);
  CHECK(bench.seen == Lines{"alert a OK>FIRING critical condition"});
}
