#include "plugins/alert/stage_bench.h"
#include "runner/stage/wall_clock.h"

using namespace millrace;
using namespace millrace::alert::test;

namespace {

constexpr std::int64_t hour = 3'600'000;

const std::string everything = R"(
time: {late: 5s, catch_up: 0s}
no_data: {after: 60s, severity: warning}
rules:
  jump: {watch: {rise: humidity, within: 30s}, above: 10, severity: warning, repeat: 30m}
  mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 80, for: 60s, severity: warning}
)";

struct Wall final : WallClock {
  Duration shown{};
  Duration ahead() const override { return shown; }
};

/// A stage as in a live run.
struct Live : Bench {
  explicit Live(const std::string& yaml) : Bench(yaml) {
    host->provide<WallClock>(wall);
    host->time.set(from_millis(1'000'000));
    start();
  }
  void jump(std::int64_t ms) { host->time.set(host->time.now() + std::chrono::milliseconds(ms)); }
  Wall wall;
};

/// A reading each second from `from` to `to`, dated by the device, whose clock the stage's is `ahead` of.
void speak(Live& bench, std::int64_t from, std::int64_t to, std::int64_t ahead, double humidity) {
  for (std::int64_t at = from; at <= to; at += 1000) {
    Batch batch = batch_of({{"a", at, humidity}});
    batch.records[0].arrival = from_millis(at + ahead);
    bench.host->time.set(std::max(bench.host->time.now(), from_millis(at + ahead)));
    bench.note(bench.stage->process(std::move(batch)).value());
    bench.note(bench.stage->tick(bench.host->time.now()).value());
  }
}

}  // namespace

TEST_CASE("a clock that jumps an hour ahead makes no device look silent, and no condition look lasting") {
  Live bench(everything);
  bench.host->notified_stages = {"phone"};
  speak(bench, 1'000'000, 1'030'000, 0, 85);
  CHECK(bench.seen.empty());
  bench.jump(hour);
  bench.note(bench.stage->tick(bench.host->time.now()).value());
  CHECK(bench.seen.empty());
  speak(bench, 1'031'000 + hour, 1'050'000 + hour, 0, 85);
  CHECK(bench.seen.empty());
  CHECK(bench.host->dropped("late").value() == 0);
}

TEST_CASE("records are not late by a clock that was set back, nor early by one that was set ahead") {
  Live bench(everything);
  speak(bench, 1'000'000 + hour, 1'010'000 + hour, 0, 50);
  // From here on the wall clock is an hour back, and this stage's, which goes on, an hour ahead of it.
  bench.wall.shown = -std::chrono::milliseconds(hour);
  for (std::int64_t at = 1'011'000; at <= 1'020'000; at += 1000) {
    Batch batch = batch_of({{"b", at, at < 1'015'000 ? 50.0 : 65.0}});
    batch.records[0].arrival = from_millis(at + hour);
    bench.host->time.set(from_millis(at + hour));
    bench.note(bench.stage->process(std::move(batch)).value());
  }
  CHECK(bench.host->dropped("late").value() == 0);
  CHECK(bench.seen == Lines{"alert b OK>FIRING warning condition"});
  bench.wall.shown = std::chrono::milliseconds(hour);
  Batch ahead = batch_of({{"c", 1'021'000 + 2 * hour, 50}});
  ahead.records[0].arrival = from_millis(1'021'000 + hour);
  bench.note(bench.stage->process(std::move(ahead)).value());
  CHECK(bench.host->dropped("early").value() == 0);
}

TEST_CASE("what was due before a jump of the clock is still due as long after it") {
  Live bench(everything);
  speak(bench, 1'000'000, 1'010'000, 0, 50);
  bench.pass(from_millis(1'040'000));
  bench.jump(hour);
  bench.pass(from_millis(1'069'000 + hour));
  CHECK(bench.seen.empty());
  bench.pass(from_millis(1'071'000 + hour));
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition"});
}

TEST_CASE("a start with a clock that was set back begins the streams anew, and raises and loses nothing") {
  Live bench(everything);
  speak(bench, 1'000'000 + hour, 1'010'000 + hour, 0, 50);
  bench.note(bench.stage->finish(End::shutdown).value());
  bench.host->time.set(from_millis(1'020'000));
  bench.start();
  for (std::int64_t at : {1'021'000, 1'025'000}) {
    Batch batch = batch_of({{"a", at, at == 1'021'000 ? 50.0 : 65.0}});
    bench.host->time.set(from_millis(at));
    bench.note(bench.stage->process(std::move(batch)).value());
  }
  CHECK(bench.host->dropped("out_of_order").value() == 0);
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition"});
  bench.seen.clear();
  bench.pass(from_millis(1'084'000));
  CHECK(bench.seen.empty());
  bench.pass(from_millis(1'086'000));
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition"});  // no_data, after its minute
}
