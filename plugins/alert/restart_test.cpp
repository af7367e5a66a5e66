#include <cmath>
#include <latch>
#include <map>
#include <random>
#include <set>
#include <utility>

#include "plugins/alert/stage_bench.h"
#include "runner/store/history_reader.h"

namespace {

using namespace millrace;
using namespace millrace::alert::test;

TEST_CASE("an input is settled when what it led to is saved, and not before") {
  Bench bench(jump);
  std::optional<Settlement> settled;
  bench.host->time.set(from_millis(1'000'000));
  bench.start();
  bench.host->ack = Ack([&](Settlement s) { settled = s; });
  bench.note(bench.stage->process(batch_of({{"a", 1'000'000, 50, 1}})).value());
  CHECK(!settled);
  bench.pass(from_millis(1'001'001));
  REQUIRE(settled);
  CHECK(*settled == Settlement::settled);
}

TEST_CASE("a history that does not keep up pauses the input, and refuses none of it") {
  std::latch caught_up(1);
  std::vector<Settlement> fates;
  store::Store::Options options;
  options.on_commit_point = [&](store::CommitPoint point) {
    if (point == store::CommitPoint::begun) caught_up.wait();
  };
  TempFolder folder;
  Bench bench("rules: {hot: {watch: {last: humidity, within: 10s}, above: 10, message: hot}}");
  bench.stage.reset();
  bench.store = store::Store::open(folder.path(), std::move(options)).value();
  bench.host->provide(*bench.store);
  bench.start();
  std::int64_t at = 1'000'000;
  for (int batches = 0; bench.stage->wants_input(); ++batches) {
    REQUIRE(batches < 1000);
    std::vector<Reading> readings;
    for (int i = 0; i < 1000; ++i, ++at) readings.push_back({"a", at, i % 2 == 0 ? 50.0 : 0.0});
    bench.host->time.set(from_millis(at));
    bench.host->ack = Ack([&](Settlement s) { fates.push_back(s); });
    REQUIRE(bench.stage->process(batch_of(readings)).has_value());
  }
  CHECK(fates.empty());
  caught_up.count_down();
  while (!bench.stage->wants_input()) {
    REQUIRE(bench.host->wait_for_wake());
    REQUIRE(bench.stage->tick(bench.host->time.now()).has_value());
  }
  CHECK(std::count(fates.begin(), fates.end(), Settlement::refused) == 0);
}

TEST_CASE("an input that nothing came of is offered again after a crash") {
  Bench bench(jump);
  std::optional<Settlement> settled;
  bench.host->ack = Ack([&](Settlement s) { settled = s; });
  bench.note(bench.stage->process(batch_of({{"a", 1'000'000, 50, 1}})).value());
  bench.stage.reset();
  REQUIRE(settled);
  CHECK(*settled == Settlement::refused);
}

TEST_CASE("notifications that nobody has taken over are emitted again at the next start, with their ids") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.host->time.set(from_millis(1'020'000));
  Result<Batch> lost = bench.stage->process(batch_of({{"a", 1'000'000, 50}, {"a", 1'020'000, 62}}));
  REQUIRE(lost.has_value());
  lost->ack.refuse();
  REQUIRE(bench.store->unsettled("test", "climate").value().size() == 1);
  bench.start();
  bench.note(bench.stage->tick(bench.host->time.now()).value());
  REQUIRE(bench.seen == Lines{"notification firing a a: humidity up 12.0 points in 30 s"});
  CHECK(text(bench.last.records[0], "id") == "test/climate/humidity-jump/a#1/1@phone");
  CHECK(bench.last.records[0].meta.find("link")->as_text() == "phone");
  CHECK(bench.store->unsettled("test", "climate").value().empty());
  bench.seen.clear();
  bench.start();
  bench.note(bench.stage->tick(bench.host->time.now()).value());
  CHECK(bench.seen.empty());
}

TEST_CASE("an alert whose rule has changed its meaning ends, quietly, and the next gets a number of its own") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  bench.seen.clear();
  std::string other = jump;
  other.replace(other.find("above: 10"), 9, "above: 11");
  bench.start_as(other);
  bench.pass(from_millis(1'021'000));
  CHECK(bench.seen == Lines{"alert a FIRING>OK warning rule_changed"});
  bench.feed({{"a", 1'022'000, 62}, {"a", 1'023'000, 90}});
  CHECK(text(bench.last.records[0], "incident") == "test/climate/humidity-jump/a#2");
}

TEST_CASE("a rule whose message alone has changed keeps its alerts") {
  Bench bench(jump);
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  bench.seen.clear();
  std::string other = jump;
  other.replace(other.find("humidity up"), 11, "HUMIDITY UP");
  bench.start_as(other);
  bench.feed({{"a", 1'021'000, 50}});
  CHECK(bench.seen == Lines{"alert a FIRING>OK warning resolved"});
}

/// Every transition in the history, by incident.
std::map<std::string, std::vector<std::string>> history_of(const std::filesystem::path& folder) {
  std::map<std::string, std::vector<std::string>> all;
  auto reader = store::HistoryReader::open(folder).value();
  store::IncidentFilter filter;
  filter.limit = 100'000;
  for (const store::Incident& incident : reader->incidents(filter).value())
    for (const store::Event& e : reader->timeline(incident.opening.incident_id).value())
      all[e.incident_id].push_back(e.from_state + ">" + e.to_state + " " + e.reason + " " + std::to_string(e.event_ms));
  return all;
}

struct Ran {
  std::map<std::string, std::vector<std::string>> history;
  std::set<std::string> notified;
  int kills = 0;
};

/// Runs a stream of readings through a stage whose process may be lost between any two batches, its commits perhaps on their
/// way; the source then offers again what was not settled.
Ran run_with_kills(std::uint64_t seed, int kill_one_in) {
  const std::string yaml = R"(
time: {late: 20s, out_of_order: 1s}
rules:
  jump: {watch: {rise: humidity, within: 10s}, above: 12, clear: {below: 4}, resolve_after: 2s, severity: warning}
  wet: {watch: {avg: humidity, within: 8s, every: 2s}, levels: {warning: {above: 52, for: 3s}, critical: {above: 55}}}
  last: {watch: {last: humidity, records: 3}, above: 56, severity: info}
)";
  std::mt19937_64 random(7);
  std::vector<Reading> readings;
  for (std::uint64_t i = 1; i <= 2000; ++i) {
    double wave = 50 + 6 * std::sin(static_cast<double>(i) / 60) + static_cast<double>(random() % 80) / 10 - 4;
    readings.push_back(
        {std::string(1, static_cast<char>('a' + random() % 3)), 1'000'000 + static_cast<std::int64_t>(i) * 100, wave, i});
  }
  TempFolder folder;
  Ran ran;
  std::mt19937_64 killer(seed);
  {
    auto store = store::Store::open(folder.path()).value();
    auto host = TestHost::make("climate");
    host->provide(*store);
    host->notified_stages = {"phone"};
    std::unique_ptr<Transform> stage;
    auto collect = [&](Batch batch) {
      for (const Record& r : batch.records)
        if (r.kind == kind::notification) ran.notified.insert(text(r, "id"));
      batch.ack.settle();
    };
    auto settled = std::make_shared<std::atomic<std::uint64_t>>(0);
    std::size_t next = 0;
    while (next < readings.size()) {
      if (!stage) {
        stage = make(yaml, host->context());
        REQUIRE(stage->connect().has_value());
      }
      std::size_t count = std::min<std::size_t>(1 + killer() % 20, readings.size() - next);
      std::vector<Reading> part(readings.begin() + static_cast<std::ptrdiff_t>(next),
                                readings.begin() + static_cast<std::ptrdiff_t>(next + count));
      host->time.set(std::max(host->time.now(), from_millis(part.back().at_ms)));
      host->ack = Ack([settled, last = part.back().sequence](Settlement s) {
        if (s == Settlement::settled) settled->store(std::max(settled->load(), last));
      });
      collect(stage->process(batch_of(part)).value());
      next += count;
      if (killer() % 3 == 0) {
        // Time enough for the disk to answer.
        REQUIRE(store->flush());
        collect(stage->tick(host->time.now()).value());
      }
      if (kill_one_in > 0 && killer() % static_cast<std::uint64_t>(kill_one_in) == 0) {
        stage.reset();
        REQUIRE(store->flush());
        next = settled->load();
        ++ran.kills;
      }
    }
    collect(stage->finish(End::input_over).value());
    while (!stage->idle()) {
      REQUIRE(host->wait_for_wake());
      collect(stage->tick(host->time.now()).value());
    }
    stage.reset();
    REQUIRE(store->flush());
  }
  ran.history = history_of(folder.path());
  return ran;
}

TEST_CASE("killed at any moment, the same alerts are raised once each") {
  Ran whole = run_with_kills(1, 0);
  REQUIRE(whole.history.size() > 10);
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    Ran killed = run_with_kills(seed, 12);
    CHECK(killed.kills > 5);
    for (const auto& [incident, events] : whole.history) {
      CAPTURE(incident);
      CHECK(killed.history[incident] == events);
    }
    CHECK(killed.history.size() == whole.history.size());
    for (const std::string& id : whole.notified) CHECK(killed.notified.contains(id));
    CHECK(killed.notified.size() == whole.notified.size());
  }
}

/// A source that offers again what was not settled, and a stage that may be killed between two readings.
class Replaying {
 public:
  explicit Replaying(const std::string& yaml) : bench(yaml) {
    bench.host->time.set(from_millis(999'900));
    bench.start();
  }

  Bench bench;
  std::uint64_t settled = 0;

  /// With `save`, everything up to here is in the history, and settled.
  void feed(const std::vector<Reading>& readings, bool save) {
    bench.host->time.set(std::max(bench.host->time.now(), from_millis(readings.back().at_ms)));
    bench.host->ack = Ack([this, last = readings.back().sequence](Settlement s) {
      if (s == Settlement::settled) settled = std::max(settled, last);
    });
    bench.note(bench.stage->process(batch_of(readings)).value());
    if (save) bench.pass(bench.host->time.now() + 1001ms);
  }
  void kill() {
    bench.stage.reset();
    bench.start();
  }
};

TEST_CASE("an alert whose evidence straddles a kill is raised once, whether or not the first half was saved") {
  bool saved = GENERATE(true, false);
  bool killed_after = GENERATE(true, false);
  CAPTURE(saved, killed_after);
  Replaying run(jump);
  run.bench.host->notified_stages = {"phone"};
  run.feed({{"a", 1'000'000, 50, 1}}, saved);
  CHECK(run.settled == (saved ? 1 : 0));
  run.kill();
  std::vector<Reading> again{{"a", 1'000'400, 62, 2}};
  if (!saved) again.insert(again.begin(), {"a", 1'000'000, 50, 1});
  run.feed(again, false);
  if (killed_after) {
    // The transition was committed, but its input was not settled.
    CHECK(run.settled < 2);
    run.kill();
    run.feed(again, false);
  }
  run.feed({{"a", 1'000'700, 62, 3}}, true);
  Lines alerts;
  for (const std::string& line : run.bench.seen)
    if (line.starts_with("alert")) alerts.push_back(line);
  CHECK(alerts == Lines{"alert a OK>FIRING warning condition"});
  CHECK(notifications(run.bench) == Lines{"firing"});
  CHECK(run.bench.store->states("test", "climate").value()[0].opening == 1);
}

TEST_CASE("the time away is no silence, even if the source first offers again what was seen already") {
  Replaying run(
      "no_data: {after: 60s, severity: warning}\nrules: {wet: {watch: {value: humidity}, above: 80, severity: info}}");
  run.feed({{"a", 1'000'000, 50, 1}, {"b", 1'000'000, 50, 2}}, true);
  run.feed({{"a", 1'001'500, 90, 3}}, false);  // committed with its alert, and not settled
  CHECK(run.settled == 2);
  run.bench.stage.reset();
  run.bench.host->time.set(from_millis(4'600'000));
  run.bench.start();
  run.bench.seen.clear();
  run.feed({{"a", 1'001'500, 90, 3}}, false);
  run.feed({{"a", 4'600'000, 90, 4}}, true);
  CHECK(run.bench.seen.empty());
  run.bench.pass(from_millis(4'650'000));
  CHECK(run.bench.seen.empty());
  run.bench.pass(from_millis(4'662'000));
  CHECK(run.bench.seen.size() == 2);
}

TEST_CASE("windows over a kill are whole, and told to be partial only where contents are lost for good") {
  Replaying run("time: {late: 5s}\nrules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}}}");
  auto windows = [&] {
    Lines all = std::exchange(run.bench.seen, {});
    return all;
  };
  run.feed({{"a", 1'001'000, 10, 1}, {"a", 1'003'000, 20, 2}}, true);
  run.kill();
  run.feed({{"a", 1'005'000, 60, 3}, {"a", 1'011'000, 0, 4}}, false);
  CHECK(windows() == Lines{"window a 1000000..1010000 30.0"});
  CHECK(run.bench.last.records[0].fields.find("partial") == nullptr);
}

TEST_CASE("a reload keeps alerts and windows where only the telling has changed") {
  auto change = GENERATE(std::pair{"repeat: 30m", "repeat: 31m"}, std::pair{"room: attic", "room: cellar"},
                         std::pair{"points in 30 s", "points"}, std::pair{"repeat: 30m", "group: {wait: 1s, interval: 1m}"},
                         std::pair{"repeat: 30m", "flap: {opens: 3, within: 1m, quiet: 1m}"},
                         std::pair{"repeat: 30m", "notify_resolved: false"});
  CAPTURE(change.first, change.second);
  Bench bench(jump);
  bench.feed({{"a", 1'000'000, 50}, {"b", 1'000'000, 50}});
  bench.feed({{"a", 1'010'000, 62}});
  bench.seen.clear();
  std::string other = jump;
  other.replace(other.find(change.first), std::string(change.first).size(), change.second);
  bench.note(bench.stage->finish(End::shutdown).value());
  bench.start_as(other);
  bench.feed({{"b", 1'012'000, 62}});  // its first half was seen before the reload
  CHECK(bench.seen == Lines{"alert b OK>FIRING warning condition"});
  bench.feed({{"a", 1'013'000, 50}});
  CHECK(bench.seen.back() == "alert a FIRING>OK warning resolved");
}

TEST_CASE("a reload ends alerts of a rule that means something else, quietly, and names the level that ended") {
  auto change = GENERATE(std::pair{"above: 10", "above: 11"}, std::pair{"within: 30s", "within: 31s"},
                         std::pair{"rise: humidity", "fall: humidity"}, std::pair{"resolve_after: 1m", "resolve_after: 2m"},
                         std::pair{"severity: warning", "severity: error"});
  CAPTURE(change.first, change.second);
  std::string rule = jump;
  rule.replace(rule.find("repeat: 30m"), 11, "resolve_after: 1m");
  Bench bench(rule);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'010'000, 62}});
  bench.feed({{"a", 1'011'000, 50}});  // recovering: its condition holds no more
  bench.seen.clear();
  std::string other = rule;
  other.replace(other.find(change.first), std::string(change.first).size(), change.second);
  bench.note(bench.stage->finish(End::shutdown).value());
  bench.start_as(other);
  bench.pass(from_millis(1'012'000));
  CHECK(bench.seen == Lines{"alert a RECOVERING>OK warning rule_changed"});
}

}  // namespace
