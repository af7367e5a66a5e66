#include "plugins/alert/stage_bench.h"
#include "runner/stage/alert_desk.h"

using namespace millrace;
using namespace millrace::alert::test;

TEST_CASE("a silence holds over a restart, and what still fires is told when somebody ends it") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  Silence night;
  night.id = "night";
  night.key = "a";
  night.from = from_millis(1'000'000);
  night.to = from_millis(9'000'000);
  REQUIRE(bench.silence(night, bench.host->time.now()).has_value());
  bench.feed({{"a", 1'010'000, 70}, {"b", 1'010'000, 50}});
  bench.start();
  bench.pass(from_millis(1'015'000));
  CHECK(notifications(bench).empty());
  Silence unknown;
  unknown.id = "nigth";
  CHECK(bench.unsilence(unknown, bench.host->time.now()).error().what.find("nigth") != std::string::npos);
  REQUIRE(bench.unsilence(night, bench.host->time.now()).has_value());
  bench.pass(from_millis(1'015'000));
  CHECK(notifications(bench) == Lines{"firing"});
  Silence misspelt;
  misspelt.rule = "humidity-jmp";
  misspelt.to = from_millis(9'000'000);
  CHECK(bench.silence(misspelt, bench.host->time.now()).error().what.find("did you mean") != std::string::npos);
}

TEST_CASE("silences and comments stand in the timelines of the alerts that they concern") {
  Bench bench(jump);
  bench.use_file();
  bench.feed({{"a", 1'000'000, 50}, {"b", 1'000'000, 50}});
  bench.feed({{"a", 1'010'000, 70}, {"b", 1'010'000, 70}});
  const Time now = from_millis(1'012'000);
  Silence night{"night", "", "a", now, from_millis(9'000'000), "ann", "asleep"};
  auto kept = bench.silence(night, now);
  REQUIRE(kept.has_value());
  CHECK(kept->id == "night");
  night.by = "bob";
  REQUIRE(bench.unsilence(night, now + 1s).has_value());
  bench.feed({{"a", 1'100'000, 50}});
  auto comment = [&](const Remark& remark) { return bench.comment(remark, now + 100s); };
  REQUIRE(comment({"humidity-jump", "a", "test/climate/humidity-jump/a#1", "cy", "it rained in"}).has_value());
  CHECK(comment({"humidity-jump", "a", "test/climate/humidity-jump/a#2", "cy", "?"}).error().what.find("a#2") !=
        std::string::npos);
  CHECK(comment({"humidity-jump", "z", "test/climate/humidity-jump/z#1", "cy", "?"}).has_error());

  auto rows = bench.timeline("test/climate/humidity-jump/a#1");
  REQUIRE(rows.size() == 5);
  CHECK(rows[1].reason == "silenced");
  CHECK(rows[1].actor == "ann");
  CHECK(rows[1].comment == "asleep");
  CHECK(rows[1].suppressed_by == "silence:night");
  CHECK(rows[1].to_state == "FIRING");
  CHECK(rows[2].reason == "unsilenced");
  CHECK(rows[2].actor == "bob");
  CHECK(rows[4].reason == "comment");
  CHECK(rows[4].comment == "it rained in");
  CHECK(rows[4].to_state == "OK");
  CHECK(rows[4].run_id == "1");
  CHECK(bench.timeline("test/climate/humidity-jump/b#1").size() == 1);
  auto silence = bench.store->silences({}).value();
  REQUIRE(silence.size() == 1);
  CHECK(silence[0].ended_ms == to_whole_millis(now + 1s));
  CHECK(silence[0].key == "a");
  CHECK(silence[0].author == "ann");
}

namespace {

const std::string rooms = R"(
time: {late: 5s, catch_up: 0s}
rules:
  hot: {watch: {value: humidity}, above: 10, severity: warning, labels: {room: "{record.room}", site: north}}
  damp: {watch: {value: humidity}, above: 10, severity: warning}
)";

Batch in_room(const std::string& device, std::int64_t at, double humidity, const std::string& room) {
  Batch batch = batch_of({{device, at, humidity}});
  batch.records[0].fields.push(batch.arena(), "room", Value::string(batch.arena().copy(room)));
  return batch;
}

/// Who is told of what while that silence holds.
Lines told_during(const Silence& silence) {
  Bench bench(rooms);
  bench.host->notified_stages = {"phone"};
  bench.host->time.set(from_millis(1'000'000));
  auto kept = bench.silence(silence, from_millis(1'000'000));
  REQUIRE(kept.has_value());
  CHECK(kept->labels == silence.labels);
  for (const auto& [device, room] : {std::pair{"attic-1", "attic"}, {"attic-2", "attic north"}, {"cellar-1", "cellar"}})
    bench.note(bench.stage->process(in_room(device, 1'001'000, 20, room)).value());
  Lines told;
  for (const std::string& line : bench.seen)
    if (line.starts_with("notification firing ")) told.push_back(line.substr(20, line.find(' ', 20) - 20));
  return told;
}

Silence silence_of(std::string rule, std::string key, AlertLabels labels = {}) {
  return {"", std::move(rule), std::move(key), from_millis(1'000'000), from_millis(9'000'000), "ann", "", std::move(labels)};
}

/// One that ends with the key's alert.
Silence once_of(std::string rule, std::string key) {
  Silence silence = silence_of(std::move(rule), std::move(key));
  silence.once = true;
  return silence;
}

}  // namespace

TEST_CASE("a silence mutes what its patterns of rule, key and labels match") {
  const Lines all{"attic-1", "attic-1", "attic-2", "attic-2", "cellar-1", "cellar-1"};
  CHECK(told_during(silence_of("", "garage-*")) == all);
  CHECK(told_during(silence_of("", "attic-*")) == Lines{"cellar-1", "cellar-1"});
  CHECK(told_during(silence_of("h*", "attic-?")) == Lines{"attic-1", "attic-2", "cellar-1", "cellar-1"});
  CHECK(told_during(silence_of("", "", {{"room", "attic*"}})) == Lines{"attic-1", "attic-2", "cellar-1", "cellar-1"});
  CHECK(told_during(silence_of("", "", {{"room", "attic"}, {"site", "*"}})) ==
        Lines{"attic-1", "attic-2", "attic-2", "cellar-1", "cellar-1"});
  CHECK(told_during(silence_of("", "", {{"site", "south"}})) == all);
}

TEST_CASE("a silence by labels is kept over a restart, and ends by the same patterns alone") {
  Bench bench(rooms);
  bench.use_file();
  bench.host->notified_stages = {"phone"};
  bench.host->time.set(from_millis(1'000'000));
  const Silence attic = silence_of("", "", {{"site", "n*"}, {"room", "att*"}});
  auto kept = bench.silence(attic, from_millis(1'000'000));
  REQUIRE(kept.has_value());
  CHECK(kept->id == "*/*,room=att*,site=n*@1000000");
  bench.start();
  bench.note(bench.stage->process(in_room("attic-1", 1'001'000, 20, "attic")).value());
  CHECK(notifications(bench) == Lines{"firing"});  // of damp, which has no labels
  const auto timeline = bench.timeline("test/climate/hot/attic-1#1");
  REQUIRE(timeline.size() == 1);
  CHECK(timeline[0].suppressed_by == "silence:" + kept->id);
  auto reader = store::HistoryReader::open(bench.host->folder.path()).value();
  const auto incidents = reader->find("test/climate/hot/attic-1#1").value();
  REQUIRE(incidents.size() == 1);
  CHECK(reader->silences_of(incidents[0]).value().size() == 1);
  const auto damp = reader->find("test/climate/damp/attic-1#1").value();
  REQUIRE(damp.size() == 1);
  CHECK(reader->silences_of(damp[0]).value().empty());
  CHECK(bench.unsilence(silence_of("", ""), from_millis(1'002'000)).has_error());
  REQUIRE(bench.unsilence(attic, from_millis(1'002'000)).has_value());
  bench.pass(from_millis(1'002'000));
  CHECK(notifications(bench) == Lines{"firing", "firing"});
}

TEST_CASE("a silence of a rule that no pattern matches is refused, with what may have been meant") {
  Bench bench(rooms);
  auto refused = bench.silence(silence_of("hto", ""), from_millis(1'000'000));
  REQUIRE(refused.has_error());
  CHECK(refused.error().what == "there is no rule 'hto' that raises alerts; did you mean 'hot'?");
}

TEST_CASE("a silence that ends with an alert mutes that one alone, also over a restart") {
  Bench bench("rules: {hot: {watch: {value: humidity}, severity: warning, above: 60, repeat: 1m}}");
  bench.use_file();
  bench.host->notified_stages = {"phone"};
  bench.host->time.set(from_millis(1'000'000));
  auto shelve = [&](const std::string& key) {
    Silence wanted = once_of("", key);
    wanted.from = bench.host->time.now();
    return bench.silence(wanted, wanted.from);
  };
  CHECK(shelve("a").error().what == "'a' has no open alert that this silence could end with");
  bench.feed({{"a", 1'001'000, 70}});
  CHECK(shelve("*").has_error());
  REQUIRE(shelve("a").has_value());
  SECTION("while the stage runs") {}
  SECTION("over a restart") {
    bench.note(bench.stage->finish(End::shutdown).value());
    bench.start();
  }
  bench.feed({{"a", 1'100'000, 71}});
  bench.feed({{"a", 1'101'000, 50}});
  CHECK(notifications(bench) == Lines{"firing", "resolved"});
  const auto kept = bench.store->silences({"test", "climate", 0}).value();
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].once);
  CHECK(kept[0].ended_ms == 1'101'000);
  bench.feed({{"a", 1'102'000, 70}});
  CHECK(notifications(bench) == Lines{"firing", "resolved", "firing"});
}

TEST_CASE("a silence that ends with the alerts of a key waits for the last of those that it mutes") {
  Bench bench(
      R"({rules: {hot: {watch: {value: humidity}, severity: warning, above: 60}, hotter: {watch: {value: humidity}, severity: warning, above: 80}}})");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'001'000, 90}});
  REQUIRE(bench.silence(once_of("h*", "a"), from_millis(1'001'000)).has_value());
  bench.seen.clear();
  bench.feed({{"a", 1'002'000, 70}});
  bench.feed({{"a", 1'003'000, 90}});
  CHECK(notifications(bench) == Lines{"resolved"});
  bench.feed({{"a", 1'004'000, 50}});
  bench.seen.clear();
  bench.feed({{"a", 1'005'000, 70}});
  CHECK(notifications(bench) == Lines{"firing"});
}

TEST_CASE("a silence that ends with a latched alert ends in its acknowledgement, and no other silence brings it back") {
  Bench bench("rules: {hot: {watch: {value: humidity}, severity: warning, above: 60, latch: true}}");
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'001'000, 70}});
  Silence shelved = once_of("", "a");
  shelved.id = "shelved";
  shelved.from = from_millis(8'000'000);
  REQUIRE(bench.silence(shelved, bench.host->time.now()).has_value());
  auto ended = [&] {
    const auto kept = bench.store->silences({"test", "climate", {}}).value();
    for (const store::Silence& s : kept)
      if (s.id == "shelved") return s.ended_ms.value_or(0);
    return std::int64_t{-1};
  };
  bench.feed({{"a", 1'002'000, 50}});
  CHECK(ended() == 0);
  bench.host->time.set(from_millis(1'003'000));
  REQUIRE(bench.acknowledge({"a", "hot", "", "ann", ""}, from_millis(1'003'000)).has_value());
  CHECK(ended() == 1'003'000);
  REQUIRE(bench.silence(silence_of("", "b"), bench.host->time.now()).has_value());
  bench.seen.clear();
  bench.feed({{"a", 1'004'000, 70}});
  CHECK(notifications(bench) == Lines{"firing"});
}

TEST_CASE("a silence that is to end with an alert is over if the alert's rule means something else after a restart") {
  Bench bench(jump);
  bench.host->notified_stages = {"phone"};
  bench.feed({{"a", 1'000'000, 50}});
  bench.feed({{"a", 1'020'000, 62}});
  REQUIRE(bench.silence(once_of("", "a"), from_millis(1'020'000)).has_value());
  std::string other = jump;
  other.replace(other.find("above: 10"), 9, "above: 11");
  bench.start_as(other);
  bench.pass(from_millis(1'021'000));
  CHECK(bench.store->silences({"test", "climate", {}}).value().at(0).ended_ms);
  bench.seen.clear();
  bench.feed({{"a", 1'022'000, 62}, {"a", 1'023'000, 90}});
  CHECK(notifications(bench) == Lines{"firing"});
}
