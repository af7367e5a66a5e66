#include "plugins/alert/stage_bench.h"
#include "plugins/alert/window.h"

// What was saved of a key and cannot be read.

namespace {

using namespace millrace;
using namespace millrace::alert::test;

/// Two keys are seen and saved; then what was saved of one is damaged while the process is away.
Bench with_damaged_a(const std::string& yaml) {
  Bench bench(yaml);
  bench.host->time.set(from_millis(999'900));
  bench.start();
  bench.feed({{"a", 1'001'000, 10}, {"b", 1'001'000, 10}});
  bench.pass(from_millis(1'002'001));
  bench.note(bench.stage->finish(End::shutdown).value());
  bench.stage.reset();
  bench.seen.clear();
  store::Commit damage;
  damage.pipeline = "test";
  damage.stage = "climate";
  damage.snapshots.push_back({"key/a", "no state"});
  std::optional<Result<void>> done;
  bench.store->commit(std::move(damage), [&](Result<void> result) { done = std::move(result); });
  REQUIRE(done);
  REQUIRE(done->has_value());
  bench.start();
  return bench;
}

/// "key end partial" of each window that was emitted last.
Lines windows(const Bench& bench) {
  Lines lines;
  for (const Record& r : bench.last.records)
    if (r.kind == kind::window) lines.push_back(text(r, "key") + " " + text(r, "end") + " " + text(r, "partial"));
  return lines;
}

}  // namespace

TEST_CASE("windows of a key whose saved state cannot be read are partial until those that it cut short have passed") {
  Bench bench = with_damaged_a("time: {late: 5s}\nrules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}}}");
  bench.feed({{"a", 1'005'000, 60}, {"b", 1'005'000, 60}, {"a", 1'011'000, 60}, {"b", 1'011'000, 60}});
  CHECK(windows(bench) == Lines{"a 1010000 true", "b 1010000 (none)"});
  bench.feed({{"a", 1'021'000, 60}, {"b", 1'021'000, 60}});
  CHECK(windows(bench) == Lines{"a 1020000 (none)", "b 1020000 (none)"});
}

TEST_CASE("a rule looks at no window of which a part could not be read") {
  Bench bench =
      with_damaged_a("time: {late: 5s}\nrules: {low: {watch: {max: humidity, within: 30s}, below: 9, severity: warning}}");
  bench.feed({{"a", 1'005'000, 5}, {"b", 1'005'000, 5}, {"a", 1'031'500, 5}});
  CHECK(bench.seen.empty());  // the 10 at 1001 s was within 30 s
  bench.feed({{"a", 1'033'000, 5}});
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition"});
}

TEST_CASE("a device whose saved state cannot be read is missed when it stays silent") {
  Bench bench = with_damaged_a("time: {catch_up: 0s}\nno_data: {after: 60s, severity: warning}");
  bench.pass(from_millis(1'070'000));
  std::sort(bench.seen.begin(), bench.seen.end());
  CHECK(bench.seen == Lines{"alert a OK>FIRING warning condition", "alert b OK>FIRING warning condition"});
}

TEST_CASE("a session that may have begun with what was lost, and records of its last moment, are partial") {
  using namespace millrace::alert;
  auto kind = GENERATE(WindowKind::session, WindowKind::snapshot);
  CAPTURE(static_cast<int>(kind));
  WindowPlan::Extent extent;
  extent.kind = kind;
  extent.timeout = 10;
  extent.max_duration = 1000;
  const Aggregate count{Aggregate::Kind::count, 0, "count"};
  const WindowPlan plan(extent, std::span(&count, 1), 100);
  Window window;
  std::vector<bool> partial;
  auto note = [&](const ClosedWindow& closed) { partial.push_back(closed.partial); };
  window.add(plan, 2000, 1, note);
  window.lose(2000);
  window.add(plan, kind == WindowKind::session ? 2010 : 2000, 1, note);
  window.advance(plan, 2100, note);
  window.add(plan, 2100, 1, note);
  window.advance(plan, 2200, note);
  CHECK(partial == std::vector<bool>{true, false});
}
