#include <fmt/core.h>
#include <malloc.h>

#include "plugins/alert/monitor.h"
#include "plugins/alert/stage_bench.h"

using namespace millrace;
using namespace millrace::alert::test;

namespace {

std::size_t heap_in_use() { return mallinfo2().uordblks; }

}  // namespace

TEST_CASE("a million devices that each speak once leave memory bounded and the rest working, and raise one alert") {
  Bench bench(R"(
max_keys: 5000
no_data: {after: 1h, severity: warning}
rules:
  mean: {watch: {avg: humidity, within: 60s, every: 10s}, above: 90, severity: warning}
  jump: {watch: {rise: humidity, within: 30s}, above: 10, severity: warning}
)");
  std::int64_t now = 1'000'000'000;
  auto speak = [&](int from, int count) {
    Batch batch;
    Arena& arena = batch.arena();
    for (int i = from; i < from + count; ++i) {
      Record& r = batch.append();
      r.device = arena.copy(fmt::format("device-{:07}", i));
      r.time = r.arrival = from_millis(now);
      r.fields.push(arena, "humidity", Value::real(50));
    }
    bench.host->time.set(from_millis(now));
    Result<Batch> out = bench.stage->process(std::move(batch));
    REQUIRE(out.has_value());
    for (const Record& r : out->records) bench.seen.push_back(std::string(text(r, "key")) + " " + std::string(text(r, "to")));
    out->ack.settle();
    ++now;
  };
  for (int i = 0; i < 10; ++i) speak(i * 1000, 1000);
  const std::size_t full = heap_in_use();
  for (int i = 10; i < 1000; ++i) speak(i * 1000, 1000);
  CHECK(heap_in_use() < full + (4U << 20U));
  CHECK(bench.host->dropped("too_many_keys").value() == 1'000'000 - 5000);
  CHECK(bench.host->gauge("alert_keys").value() == 5000);
  CHECK(bench.seen == Lines{"too_many_keys FIRING"});
  // Those that are known go on being watched.
  bench.seen.clear();
  bench.feed({{"device-0000000", now + 1000, 70}});
  CHECK(bench.seen == Lines{"alert device-0000000 OK>FIRING warning condition"});
  CHECK(bench.store->states("test", "climate").value().size() == 2);
}

TEST_CASE("the alert of refused keys ends when none has been refused for a while, and counts them") {
  Bench bench("max_keys: 1\nrules: {wet: {watch: {value: humidity}, above: 10, severity: info}}");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 1}, {"b", 1'000'000, 1}, {"c", 1'000'000, 1}});
  REQUIRE(bench.seen.size() == 2);
  CHECK(bench.seen[0] == "alert too_many_keys OK>FIRING error condition");
  CHECK(bench.seen[1].find("notification firing too_many_keys climate: records of further keys are refused") == 0);
  bench.seen.clear();
  bench.start();  // a restart keeps it
  bench.feed({{"a", 1'060'000, 1}, {"d", 1'060'000, 1}});
  CHECK(bench.seen.empty());
  bench.pass(from_millis(1'060'000 + 4 * 60'000));
  CHECK(bench.seen.empty());
  bench.pass(from_millis(1'060'000 + 6 * 60'000));
  REQUIRE(bench.seen.size() == 2);
  CHECK(bench.seen[0] == "alert too_many_keys FIRING>OK error resolved");
  CHECK(bench.seen[1].find("3 times") != std::string::npos);
  CHECK(bench.store->states("test", "climate").value()[0].state == "OK");
}
