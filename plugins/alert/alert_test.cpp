#include <catch2/catch.hpp>
#include <deque>
#include <latch>
#include <map>
#include <random>
#include <set>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/stage/explains.h"
#include "runner/stage/json.h"
#include "runner/stage/silence.h"
#include "runner/stage/trace.h"
#include "runner/store/history_reader.h"
#include "runner/store/store.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin alert_plugin();
}

namespace {

using namespace millrace;

std::function<AnyStage(Context)> parse(const std::string& yaml, config::Problems& problems) {
  auto node = config::parse_yaml(yaml, problems);
  REQUIRE(node);
  return alert_plugin().parse(*node, problems);
}

std::unique_ptr<Transform> make(const std::string& yaml, Context context) {
  config::Problems problems("alert.yaml");
  auto constructor = parse(yaml, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::get<std::unique_ptr<Transform>>(constructor(std::move(context)));
}

std::string problems_of(const std::string& yaml) {
  config::Problems problems("alert.yaml");
  parse(yaml, problems);
  std::string all;
  for (const auto& problem : problems.list()) all += problem.text() + "\n";
  return all;
}

struct Reading {
  std::string device;
  std::int64_t at_ms = 0;
  double humidity = 0;
  std::uint64_t sequence = 0;
};

Batch batch_of(const std::vector<Reading>& readings) {
  Batch batch;
  Arena& arena = batch.arena();
  for (const Reading& reading : readings) {
    Record& r = batch.append();
    r.device = arena.copy(reading.device);
    r.time = r.arrival = from_millis(reading.at_ms);
    r.fields.push(arena, "humidity", Value::real(reading.humidity));
    r.source = reading.sequence == 0 ? 0 : 1;
    r.sequence = reading.sequence;
  }
  return batch;
}

std::string text(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  if (!value) return "(none)";
  if (value->type() == Type::string) return std::string(value->as_text());
  std::string json;
  append_json(json, *value);
  return json;
}

/// One stage in virtual time over a history in memory.
class Bench {
 public:
  explicit Bench(std::string yaml) : yaml_(std::move(yaml)) {
    host->provide(*store);
    start();
  }

  std::shared_ptr<test::TestHost> host = test::TestHost::make("climate");
  std::unique_ptr<store::Store> store = store::Store::in_memory().value();
  std::unique_ptr<Transform> stage;
  std::vector<std::string> seen;  ///< "kind key from>to level reason" of what was emitted
  Batch last;

  void start() {
    stage = make(yaml_, host->context());
    REQUIRE(stage->connect().has_value());
  }

  void feed(const std::vector<Reading>& readings) {
    if (!readings.empty()) pass(from_millis(readings.back().at_ms));
    note(stage->process(batch_of(readings)).value());
  }

  /// Lets the time pass, with a tick at every moment that the stage asks for.
  void pass(Time until) {
    for (auto next = stage->next_tick(); next && *next < until; next = stage->next_tick()) {
      host->time.set(std::max(*next, host->time.now()));
      note(stage->tick(host->time.now()).value());
    }
    host->time.set(std::max(until, host->time.now()));
    note(stage->tick(host->time.now()).value());
  }

  void note(Batch batch) {
    for (const Record& r : batch.records) {
      std::string line(r.kind);
      if (r.kind == kind::window)
        line += " " + text(r, "key") + " " + text(r, "start") + ".." + text(r, "end") + " " + text(r, "avg");
      else if (r.kind == kind::notification)
        line += " " + text(r, "type") + " " + text(r, "key") + " " + text(r, "message");
      else
        line += " " + text(r, "key") + " " + text(r, "from") + ">" + text(r, "to") + " " + text(r, "level") + " " +
                text(r, "reason");
      seen.push_back(line);
    }
    batch.ack.settle();
    if (!batch.empty()) last = std::move(batch);
  }

 private:
  std::string yaml_;
};

using Lines = std::vector<std::string>;

const std::string jump = R"(
time: {late: 5s}
rules:
  humidity-jump:
    watch: {rise: humidity, within: 30s}
    above: 10
    clear: {below: 5}
    severity: warning
    repeat: 30m
    message: "{key}: humidity up {value:.1f} points in 30 s"
    labels: {room: attic}
)";

TEST_CASE("a quick rise raises one alert with everything that people and pages need") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone", "mail"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62.25}});
  REQUIRE(bench.seen == Lines{"alert a OK>FIRING warning condition", "notification firing a a: humidity up 12.2 points in 30 s",
                              "notification firing a a: humidity up 12.2 points in 30 s"});
  const Record& alert = bench.last.records[0];
  CHECK(alert.device == "a");
  CHECK(alert.time == from_millis(1'020'000));
  CHECK(text(alert, "incident") == "test/climate/humidity-jump/a#1");
  CHECK(text(alert, "rule") == "humidity-jump");
  CHECK(text(alert, "value") == "12.25");
  CHECK(text(alert, "threshold") == "10.0");
  CHECK(text(alert, "time") == "1020000");
  CHECK(text(alert, "labels") == R"({"room":"attic"})");
  CHECK(text(bench.last.records[1], "id") == "test/climate/humidity-jump/a#1/1@phone");
  CHECK(text(bench.last.records[2], "id") == "test/climate/humidity-jump/a#1/1@mail");
  CHECK(bench.last.records[1].meta.find("link")->as_text() == "phone");
  auto states = bench.store->states("test", "climate").value();
  REQUIRE(states.size() == 1);
  CHECK(states[0].state == "FIRING");
  CHECK(states[0].opening == 1);
}

TEST_CASE("people are told again while it lasts, and that it is over") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  bench.seen.clear();
  bench.pass(from_millis(1'020'000 + 30 * 60'000 + 1));
  CHECK(bench.seen == Lines{"notification repeat a a: humidity up 12.0 points in 30 s"});
  bench.seen.clear();
  bench.feed({{"a", 3'000'000, 50}});
  CHECK(bench.seen ==
        Lines{"alert a FIRING>OK warning resolved", "notification resolved a resolved: a: humidity up 0.0 points in 30 s"});
}

TEST_CASE("somebody's acknowledgement is recorded, told to pages, and stops the repeats") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  bench.seen.clear();
  auto* desk = dynamic_cast<AlertDesk*>(bench.stage.get());
  REQUIRE(desk);
  REQUIRE(desk->acknowledge("a", "", "ann", from_millis(1'030'000)).has_value());
  bench.pass(from_millis(9'000'000));
  CHECK(bench.seen == Lines{"alert a FIRING>FIRING warning ack:ann"});
  CHECK(bench.store->states("test", "climate").value()[0].acked_by == "ann");
  auto wrong = desk->acknowledge("a", "humidity-jmp", "ann", from_millis(1'030'000));
  REQUIRE(wrong.has_error());
  CHECK(wrong.error().what.find("did you mean 'humidity-jump'") != std::string::npos);
}

TEST_CASE("a device that falls silent is missed, and one that never spoke") {
  Bench bench("no_data: {after: 60s, severity: warning, expect: [b]}\ntime: {catch_up: 0s}\n");
  bench.feed({{"a", 1'000, 50}});
  bench.pass(from_millis(61'001));
  CHECK(bench.seen == Lines{"alert b OK>FIRING warning condition", "alert a OK>FIRING warning condition"});
  bench.feed({{"a", 70'000, 50}});
  CHECK(bench.seen.back() == "alert a FIRING>OK warning resolved");
}

TEST_CASE("a rule without a condition emits its windows and raises nothing") {
  Bench bench("rules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}}}");
  bench.feed({{"a", 1'001'000, 50}, {"a", 1'002'000, 60}});
  bench.pass(from_millis(1'015'000));
  CHECK(bench.seen.empty());
  bench.pass(from_millis(1'016'000));
  CHECK(bench.seen == Lines{"window a 1000000..1010000 55.0"});
}

class Witness final : public Trace {
 public:
  Lines rows;
  void happened(std::string_view stage, std::string_view kind, std::span<const Field> members) override {
    rows.push_back(std::string(stage) + " " + std::string(kind) + " ");
    append_json(rows.back(), members);
  }
};

TEST_CASE("who looks on sees records, windows, derived values, transitions and notifications") {
  Bench bench(R"(
time: {late: 5s, policy: adjust}
rules:
  jump: {watch: {rise: humidity, within: 30s}, above: 10, for: 1s, severity: info}
  mean: {watch: {avg: humidity, within: 10s, every: 10s}, above: 90, severity: info}
)");
  Witness witness;
  bench.host->provide<Trace>(witness);
  bench.start();
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'001'000, 62}, {"a", 999'000, 50}});
  CHECK(
      witness.rows ==
      Lines{
          R"(climate record {"ts_ms":1000000,"arrival_ms":1000000,"key":"a","outcome":"accepted","system_ms":1000000})",
          R"(climate derived {"rule":"jump","key":"a","t_ms":1000000,"value":0.0})",
          R"(climate record {"ts_ms":1001000,"arrival_ms":1001000,"key":"a","outcome":"accepted","system_ms":1001000})",
          R"(climate derived {"rule":"jump","key":"a","t_ms":1001000,"value":12.0})",
          R"(climate transition {"rule":"jump","key":"a","from":"OK","to":"PENDING","at_ms":1001000,"level":"info","reason":"condition","incident":0})",
          R"(climate window {"rule":"mean","key":"a","start_ms":990000,"end_ms":1000000,"fired_at_ms":1001000,"avg":50.0})",
          R"(climate record {"ts_ms":999000,"arrival_ms":999000,"key":"a","outcome":"adjusted","why":"out_of_order","system_ms":1001000})",
          R"(climate derived {"rule":"jump","key":"a","t_ms":1001000,"value":0.0})",
          R"(climate transition {"rule":"jump","key":"a","from":"PENDING","to":"OK","at_ms":1001000,"level":"ok","reason":"cancelled","incident":0})",
      });
  CHECK(bench.seen.empty());
}

TEST_CASE("windows that are open when the input ends are emitted then") {
  Bench bench("rules: {mean: {watch: {avg: humidity, within: 10s, every: 10s}}}");
  bench.feed({{"a", 1'001'000, 50}});
  bench.note(bench.stage->finish(End::input_over).value());
  CHECK(bench.seen == Lines{"window a 1000000..1010000 50.0"});
  CHECK(bench.stage->idle());
}

TEST_CASE("a text and a bare change can be watched for") {
  Bench bench("rules: {dry: {watch: {value: humidity}, changed: true, severity: info}}");
  bench.feed({{"a", 1'000, 1}, {"a", 2'000, 1}, {"a", 3'000, 2}, {"a", 4'000, 2}});
  CHECK(bench.seen == Lines{"alert a OK>FIRING info condition", "alert a FIRING>OK info resolved"});
}

TEST_CASE("what an alert emits is not watched, and what cannot be placed in time is counted") {
  Bench bench("time: {field: ts}\nrules: {wet: {watch: {value: humidity}, above: 10, severity: info}}");
  Batch alerts = batch_of({{"a", 1'000, 50}});
  alerts.records[0].kind = kind::alert;
  bench.note(bench.stage->process(std::move(alerts)).value());
  CHECK(bench.seen.empty());
  bench.feed({{"a", 1'000, 50}});
  CHECK(bench.seen.size() == 1);
  CHECK(bench.host->counter("without_time").value() == 1);
}

TEST_CASE("late records and keys beyond the bound are dropped and counted") {
  Bench bench("max_keys: 1\nrules: {wet: {watch: {value: humidity}, above: 10, severity: info}}");
  Batch batch = batch_of({{"a", 100'000, 1}, {"a", 100'000, 50}, {"b", 100'000, 50}});
  batch.records[1].time = from_millis(94'999);
  bench.note(bench.stage->process(std::move(batch)).value());
  CHECK(bench.seen.empty());
  CHECK(bench.host->dropped("late").value() == 1);
  CHECK(bench.host->dropped("too_many_keys").value() == 1);
}

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
  test::TempFolder folder;
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
  bench.stage = make(other, bench.host->context());
  REQUIRE(bench.stage->connect().has_value());
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
  bench.stage = make(other, bench.host->context());
  REQUIRE(bench.stage->connect().has_value());
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
  test::TempFolder folder;
  Ran ran;
  std::mt19937_64 killer(seed);
  {
    auto store = store::Store::open(folder.path()).value();
    auto host = test::TestHost::make("climate");
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

Lines notifications(const Bench& bench) {
  Lines lines;
  for (const std::string& line : bench.seen)
    if (line.starts_with("notification")) lines.push_back(line.substr(13, line.find(' ', 13) - 13));
  return lines;
}

TEST_CASE("a silence holds over a restart, and what still fires is told when somebody ends it") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  auto desk = [&] { return dynamic_cast<SilenceDesk*>(bench.stage.get()); };
  Silence night;
  night.id = "night";
  night.key = "a";
  night.from = from_millis(1'000'000);
  night.to = from_millis(9'000'000);
  REQUIRE(desk()->silence(night, bench.host->time.now()).has_value());
  bench.feed({{"a", 1'010'000, 70}, {"b", 1'010'000, 50}});
  bench.start();
  bench.pass(from_millis(1'015'000));
  CHECK(notifications(bench).empty());
  Silence unknown;
  unknown.id = "nigth";
  CHECK(desk()->unsilence(unknown, bench.host->time.now()).error().what.find("nigth") != std::string::npos);
  REQUIRE(desk()->unsilence(night, bench.host->time.now()).has_value());
  bench.pass(from_millis(1'015'000));
  CHECK(notifications(bench) == Lines{"firing"});
  Silence misspelt;
  misspelt.rule = "humidity-jmp";
  misspelt.to = from_millis(9'000'000);
  CHECK(desk()->silence(misspelt, bench.host->time.now()).error().what.find("did you mean") != std::string::npos);
}

TEST_CASE("while one rule fires for a key, nobody is told of those that it inhibits, for that key") {
  Bench bench(R"(
time: {late: 5s}
rules:
  offline: {watch: {value: humidity}, below: 0, severity: critical}
  low: {watch: {value: humidity}, below: 10, severity: warning, inhibited_by: [offline]}
)");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, -1}, {"b", 1'000'000, 5}});
  bench.pass(from_millis(1'000'000));
  CHECK(notifications(bench) == Lines{"firing", "firing"});  // a is offline; b is low
  CHECK(std::count(bench.seen.begin(), bench.seen.end(), "alert a OK>FIRING warning condition") == 1);
  bench.feed({{"a", 1'010'000, 5}});
  bench.pass(from_millis(1'010'000));
  CHECK(notifications(bench) == Lines{"firing", "firing", "resolved", "firing"});  // a is back, and still low
}

TEST_CASE("a stage says what its rules look at, with the boundaries that hold") {
  auto stage = make(R"(
time: {late: 5s}
no_data: 60s
rules:
  jump: {watch: {rise: h, within: 30s}, above: 10, clear: {below: 5}, severity: warning, resolve_after: 1m}
  hot: {watch: {avg: t, within: 60s, every: 10s, offset: -1ms}, levels: {warning: {above: 26, for: 1m}}, inhibited_by: [no_data]}
  visits: {watch: {count: h, session: {timeout: 5m, max_duration: 1h}}}
)",
                    test::TestHost::make("climate")->context());
  CHECK(
      dynamic_cast<Explains&>(*stage).explain() ==
      Lines{"jump: rise of h over (t-30s, t], at each record t; warning above 10 until below 5, for 1m",
            "hot: avg of t over (end-1m, end], each end a multiple of 10s since the epoch less 1ms; without data it closes 5s "
            "after; warning above 26 for 1m until it is not; told of unless no_data fires",
            "visits: count of h over sessions with gaps of at most 5m, cut at the first multiple of 1h since the epoch at "
            "which they are longer; emitted, raises nothing",
            "no_data: nothing arrived for 1m; a record that arrives exactly then is in time"});
}

TEST_CASE("what contradicts itself is refused with its place and a way out") {
  auto rule = [](const std::string& inside) { return "rules: {r: {" + inside + "}}"; };
  auto says = [&](const std::string& yaml, const std::string& expected) {
    CAPTURE(yaml, expected);
    std::string problems = problems_of(yaml);
    CAPTURE(problems);
    CHECK(problems.find(expected) != std::string::npos);
  };
  says(rule("watch: {rise: h, within: 30s}, above: 10, clear: {below: 12}"), "clear overlaps the condition");
  says(rule("watch: {rise: h, within: 30s}, above: 10, repeat: 5m"), "repeat needs a severity");
  says(rule("watch: {rize: h, within: 30s}, above: 10"), "did you mean 'rise'");
  says(rule("watch: {avg: h, within: 30s, also: [p95, madian]}, above: 10"), "did you mean 'median'");
  says(rule("watch: {avg: h}, above: 10"), "needs one of within");
  says(rule("watch: {avg: h, max: h, within: 1s}, above: 10"), "one thing is watched");
  says(rule("watch: {count: h, session: {timeout: 1m, max_duration: 30s}}"), "above the max_duration");
  says(rule("watch: {value: h}, above: 10, below: 5"), "one condition is enough");
  says(rule("watch: {value: h}"), "without a condition");
  says(rule("watch: {avg: h, within: 1s}, equals: fault"), "needs `watch: {value: FIELD}`");
  says(rule("watch: {avg: h, within: 1s, every: 5}"), "duration with its unit");
  says(rule("watch: {avg: h, records: 5, every: 5s}"), "number of records");
  says(rule("watch: {value: h}, above: 1, message: '{vale}'"), "did you mean 'value'");
  says(rule("watch: {value: h}, above: 1, message: '{value:q}'"), "is no format for a number");
  says(rule("watch: {value: h}, above: 1, message: '{value:.999999999f}'"), "at most 99");
  says(rule("watch: {value: h}, levels: {warning: {above: 30}, critical: {above: 20}}"), "level 'warning' is never reached");
  says(rule("watch: {value: h}, levels: {warning: {above: 30, clear: {above: 29}}}"), "clear overlaps the condition");
  says(rule("watch: {distance_outside: [lat, lon]}, above: 10"), "give one fence");
  says(rule("watch: {p90: h, p50: h, within: 1s}, above: 10"), "one thing is watched");
  says(rule("watch: {value: h}, above: 1, inhibited_by: [q]"), "no such rule raises alerts");
  says(rule("watch: {value: h}, above: 1, inhibited_by: [r]"), "inhibited by itself");
  says("rules: {r: {watch: {value: h}, above: 1, inhibited_by: [s]}, s: {watch: {value: h}, above: 1, inhibited_by: [r]}}",
       "inhibited by itself");
  says("key: device", "no rules");
  CHECK(problems_of(rule("watch: {value: h}, above: 10, clear: {at_most: 10}")).empty());
}

}  // namespace
