#include "plugins/alert/stage_bench.h"
#include "runner/stage/alert_desk.h"
#include "runner/stage/trace.h"

namespace {

using namespace millrace;
using namespace millrace::alert::test;

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
  REQUIRE(bench.acknowledge({"a", "", "", "ann", ""}, from_millis(1'030'000)).has_value());
  bench.pass(from_millis(9'000'000));
  CHECK(bench.seen == Lines{"alert a FIRING>FIRING warning ack:ann"});
  CHECK(bench.store->states("test", "climate").value()[0].acked_by == "ann");
  auto wrong = bench.acknowledge({"a", "humidity-jmp", "", "ann", ""}, from_millis(9'000'000));
  REQUIRE(wrong.has_error());
  CHECK(wrong.error().what.find("did you mean 'humidity-jump'") != std::string::npos);
}

TEST_CASE("an acknowledgement keeps its comment; a second one, or one of nothing open, is recorded and ignored") {
  Bench bench(jump);
  bench.use_file();
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  auto acknowledge = [&](const Acknowledgement& ack) {
    auto said = bench.acknowledge(ack, from_millis(1'030'000));
    REQUIRE(said.has_value());
    REQUIRE(said->size() == 1);
    return said->front();
  };
  using Outcome = Acknowledged::Outcome;
  auto first = acknowledge({"a", "", "", "ann", "on my way"});
  CHECK(first.outcome == Outcome::acknowledged);
  CHECK(first.incident == "test/climate/humidity-jump/a#1");
  auto second = acknowledge({"a", "", "test/climate/humidity-jump/a#1", "bob", ""});
  CHECK(second.outcome == Outcome::already);
  CHECK(second.by == "ann");
  bench.feed({{"a", 1'100'000, 50}});
  auto late = acknowledge({"a", "humidity-jump", "test/climate/humidity-jump/a#1", "cy", "too late"});
  CHECK(late.outcome == Outcome::not_open);
  CHECK(acknowledge({"b", "", "", "cy", ""}).outcome == Outcome::not_open);

  auto rows = bench.timeline("test/climate/humidity-jump/a#1");
  REQUIRE(rows.size() == 5);
  CHECK(rows[1].reason == "ack:ann");
  CHECK(rows[1].comment == "on my way");
  CHECK(rows[2].reason == "ack_ignored");
  CHECK(rows[2].actor == "bob");
  CHECK(rows[2].message == "a: humidity-jump is acknowledged already; the acknowledgement by bob is ignored");
  CHECK(rows[4].reason == "ack_ignored");
  CHECK(rows[4].comment == "too late");
  CHECK(rows[4].to_state == "OK");
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
  CHECK(bench.seen == Lines{"alert too_many_keys OK>FIRING error condition"});
  CHECK(bench.host->dropped("late").value() == 1);
  CHECK(bench.host->dropped("too_many_keys").value() == 1);
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

/// A reading with a place in words, at a moment.
Batch placed(const std::string& device, std::int64_t at_ms, double humidity, const std::string& site) {
  Batch batch = batch_of({{device, at_ms, humidity}});
  Record& r = batch.records[0];
  if (!site.empty()) r.fields.push(batch.arena(), "site", Value::string(batch.arena().copy(site)));
  return batch;
}

TEST_CASE("a message and labels quote the fields of the key's latest record") {
  Bench bench(R"yaml(
rules:
  wet:
    watch: {max: humidity, within: 10s, every: 10s}
    above: 80
    severity: warning
    repeat: 10m
    message: "{key} in {record.site:.2f}: {value:.0f} %, now {record.humidity:.1f}, {record.door}"
    labels: {site: "{record.site}", team: night}
)yaml");
  bench.host->notified_stages = {"phone"};
  bench.note(bench.stage->process(placed("a", 1'001'000, 90, "cellar")).value());
  bench.note(bench.stage->process(placed("a", 1'002'000, 85.25, "attic")).value());
  bench.pass(from_millis(1'016'000));
  REQUIRE(bench.seen.size() == 2);
  CHECK(bench.seen[1] == "notification firing a a in attic: 90 %, now 85.2, null");
  CHECK(text(bench.last.records[0], "labels") == R"({"site":"attic","team":"night"})");
  bench.stage->finish(End::shutdown).value().ack.settle();
  bench.start();  // what is quoted survives a restart
  bench.pass(from_millis(1'016'000 + 11 * 60'000));
  CHECK(bench.seen.back() == "notification repeat a a in attic: 90 %, now 85.2, null");
}

TEST_CASE("a rule over texts says what the field holds, not 0 or 1") {
  Bench bench(R"yaml(
rules:
  moved: {watch: {value: site}, differs: yard}
  away: {watch: {value: site}, equals: road, message: "{key} is away"}
  turned: {watch: {value: site}, changed: true}
  wet: {watch: {value: humidity}, above: 80}
)yaml");
  bench.note(bench.stage->process(placed("van", 1'001'000, 50, "yard")).value());
  Batch batch = bench.stage->process(placed("van", 1'002'000, 90, "road")).value();
  Lines messages;
  for (const Record& r : batch.records) messages.push_back(text(r, "message"));
  std::sort(messages.begin(), messages.end());
  CHECK(messages == Lines{"van is away", "van: moved, site is road", "van: turned, site is road", "van: wet at 90"});
}

TEST_CASE("alerts that have a label's text in common are told of together") {
  Bench bench(R"yaml(
rules:
  wet:
    watch: {value: humidity}
    above: 80
    severity: warning
    labels: {site: "{record.site}", device: "{key}", team: night}
    group: {by: [site], wait: 10s, interval: 1m}
)yaml");
  bench.host->notified_stages = {"phone"};
  bench.host->time.set(from_millis(1'000'000));
  for (const char* device : {"a", "b"}) bench.note(bench.stage->process(placed(device, 1'000'000, 90, "cellar")).value());
  bench.note(bench.stage->process(placed("c", 1'000'000, 90, "attic")).value());
  bench.seen.clear();
  std::vector<std::string> told;
  auto pass = [&](std::int64_t until) {
    for (auto next = bench.stage->next_tick(); next && *next <= from_millis(until); next = bench.stage->next_tick()) {
      bench.host->time.set(std::max(*next, bench.host->time.now()));
      Batch batch = bench.stage->tick(bench.host->time.now()).value();
      for (const Record& r : batch.records)
        if (r.kind == kind::notification)
          told.push_back(text(r, "id") + " " + text(r, "type") + " " + text(r, "firing") + text(r, "resolved") +
                         text(r, "labels"));
      batch.ack.settle();
    }
    bench.host->time.set(from_millis(until));
  };
  pass(1'010'500);
  std::sort(told.begin(), told.end());
  CHECK(told == Lines{R"(test/climate/wet/attic#1@phone group_firing ["c"][]{"site":"attic","team":"night"})",
                      R"(test/climate/wet/cellar#2@phone group_firing ["a","b"][]{"site":"cellar","team":"night"})"});
  told.clear();
  // A member stays in the group that was told of it, wherever it goes.
  bench.note(bench.stage->process(placed("a", 1'011'000, 50, "attic")).value());
  pass(1'080'000);
  CHECK(told == Lines{R"(test/climate/wet/cellar#3@phone group_changed ["b"]["a"]{"site":"cellar","team":"night"})"});
}

TEST_CASE("a position that may be too far off is no value") {
  Bench bench(R"yaml(
rules:
  out:
    watch:
      distance_outside: [lat, lon]
      circle: {latitude: 52, longitude: 13, radius: 100}
      accuracy: hdop
      max_accuracy: 30
    above: 0
    severity: info
)yaml");
  auto at = [&](std::int64_t at_ms, double accuracy) {
    Batch batch = batch_of({{"van", at_ms, 0}});
    FieldList& f = batch.records[0].fields;
    f.push(batch.arena(), "lat", Value::real(53));
    f.push(batch.arena(), "lon", Value::real(13));
    f.push(batch.arena(), "hdop", Value::real(accuracy));
    bench.note(bench.stage->process(std::move(batch)).value());
  };
  at(1'000'000, 31);
  CHECK(bench.seen.empty());
  at(1'001'000, 30);
  CHECK(bench.seen == Lines{"alert van OK>FIRING info condition"});
}

}  // namespace
