#include "alerts_site.h"

using namespace millrace;
using namespace millrace::cli::site;

TEST_CASE("alerts list shows incidents newest first, for people and for programs") {
  Site site;
  Outcome text = site.alerts({"list"});
  REQUIRE(text.status == 0);
  CHECK_THAT(text.out, Contains("house/climate/hot/room#2") && Contains("FIRING") && Contains("room is hot\\x1b[31m"));
  CHECK(text.out.find("room#2") < text.out.find("room#1"));
  CHECK(text.out.find('\x1b') == std::string::npos);

  auto listed = [&](std::vector<std::string> filters) {
    filters.insert(filters.begin(), "list");
    filters.insert(filters.end(), {"--format", "json"});
    Outcome outcome = site.alerts(std::move(filters));
    REQUIRE(outcome.status == 0);
    return json::parse(outcome.out);
  };
  json all = listed({});
  REQUIRE(all.size() == 2);
  CHECK(all[0]["incident"] == "house/climate/hot/room#2");
  CHECK(all[0]["state"] == "FIRING");
  CHECK(all[0]["value"] == 31.5);
  CHECK(all[1]["state"] == "OK");
  CHECK(all[1]["changed"].get<std::int64_t>() - all[1]["opened"].get<std::int64_t>() == 100'000);
  CHECK(listed({"--state", "open"}).size() == 1);
  CHECK(listed({"--state", "OK"}).size() == 1);
  CHECK(listed({"--since", "1h"}).size() == 1);
  CHECK(listed({"--until", "1h"}).size() == 1);
  CHECK(listed({"--since", "2020-01-01T00:00:00Z", "--until", "2020-02-01T00:00:00Z"}).empty());
  CHECK(listed({"--state", "firing"}).size() == 1);
  CHECK(listed({"--stage", "house/climate"}).size() == 2);
  CHECK(listed({"--stage", "barn/climate"}).empty());
  CHECK(listed({"--rule", "cold"}).empty());
  CHECK(listed({"--key", "room"}).size() == 2);
  CHECK(listed({"--limit", "1"}).size() == 1);
}

TEST_CASE("alerts show tells the whole timeline of what is meant") {
  Site site;
  Outcome outcome = site.alerts({"show", "house/climate/hot/room#1", "--format", "json"});
  REQUIRE(outcome.status == 0);
  json shown = json::parse(outcome.out);
  REQUIRE(shown.size() == 1);
  REQUIRE(shown[0]["timeline"].size() == 2);
  CHECK(shown[0]["timeline"][1]["reason"] == "resolved");
  CHECK_THAT(site.alerts({"show", "room"}).out, Contains("room#2") && !Contains("room#1"));
  Outcome unknown = site.alerts({"show", "nobody"});
  CHECK(unknown.status == cli::failed);
  CHECK_THAT(unknown.err, Contains("no alert is called 'nobody'"));
}

TEST_CASE("alerts says what is wrong with its use") {
  Site site;
  CHECK(site.alerts({"list", "--state", "SLEEPING"}).status == cli::wrong_use);
  CHECK(site.alerts({"show"}).status == cli::wrong_use);
  for (const std::vector<std::string>& wrong : std::vector<std::vector<std::string>>{
           {},
           {"lst"},
           {"list", "--since", "10"},
           {"list", "--since", "yesterday"},
           {"list", "--until", ""},
           {"list", "--limit", "0"},
           {"list", "--limit", "many"},
           {"list", "--format", "xml"},
           {"list", "surplus"},
           {"show", "room", "--state", "open"},
           {"ack"},
           {"ack", "room", "--comment"},
           {"comment", "room"},
           {"comment", "room", ""},
           {"silence"},
           {"silence", "--for", "ever"},
           {"silence", "--for", "0s"},
           {"silence", "--for", "2h", "--to", "2050-01-01T00:00:00Z"},
           {"silence", "--to", "1h"},
           {"silence", "--for", "2h", "--in", "soon"},
           {"silence", "--for", "2h", "--in", "1h", "--from", "2050-01-01T00:00:00Z"},
           {"silence", "--for", "2h", "--once"},
           {"silence", "--key", "room", "--once"},
           {"silence", "--key", "room", "--for", "2h", "--once", "--in", "1h"},
           {"silence", "--key", "room", "--to", "2050-01-02T00:00:00Z", "--once", "--from", "2050-01-01T00:00:00Z"},
           {"unsilence"},
           {"silences", "--since", "1h"},
           {"export", "--format", "json"},
       }) {
    CAPTURE(wrong);
    CHECK(site.alerts(wrong).status == cli::wrong_use);
  }
  Outcome nowhere = run({"list", "--data", (site.scratch.path() / "nowhere").string()}, site.scratch.path());
  CHECK(nowhere.status == cli::failed);
  CHECK_THAT(nowhere.err, Contains("no history"));
}

TEST_CASE("alerts show tells of silences and comments, and silences lists those that hold") {
  Site site;
  {
    auto store = store::Store::open(site.data).value();
    const auto now = to_whole_millis(SystemClock().now());
    store::Commit commit;
    commit.pipeline = "house";
    commit.stage = "climate";
    store::Silence silence;
    silence.id = "painting";
    silence.key = "room";
    silence.from_ms = silence.created_ms = now - 30'000;
    silence.to_ms = now + 3'600'000;
    silence.author = "ada";
    commit.silences.push_back(silence);
    silence.id = "over";
    silence.ended_ms = now - 1000;
    commit.silences.push_back(silence);
    silence.id = "elsewhere";
    silence.key = "attic";
    silence.once = true;
    silence.ended_ms.reset();
    commit.silences.push_back(silence);
    store->commit(std::move(commit), {});
    REQUIRE(store->flush());
  }
  json shown = json::parse(site.alerts({"show", "room", "--format", "json"}).out);
  REQUIRE(shown[0]["silences"].size() == 2);
  CHECK(shown[0]["silences"][0]["id"] == "over");
  CHECK(shown[0]["silences"][0]["state"] == "ended");
  CHECK(shown[0]["silences"][1]["state"] == "active");
  CHECK_THAT(site.alerts({"show", "room"}).out, Contains("silence painting") && Contains("by ada"));
  CHECK(json::parse(site.alerts({"silences", "--format", "json"}).out).size() == 2);
  CHECK(json::parse(site.alerts({"silences", "--all", "--format", "json"}).out).size() == 3);
  CHECK_THAT(site.alerts({"silences"}).out, Contains("painting") && !Contains("over") && Contains(", or the alert's end"));
  const json holding = json::parse(site.alerts({"silences", "--format", "json"}).out);
  for (const json& one : holding) CHECK(one.contains("once") == (one["id"] == "elsewhere"));
}

TEST_CASE("a silence that began after an incident had ended did not hold over it, whatever was said of it since") {
  Site site;
  {
    auto store = store::Store::open(site.data).value();
    const auto now = to_whole_millis(SystemClock().now());
    Site::write(*store, 1, 4, "OK", "OK", "comment", now - 1000);
    store::Commit commit;
    commit.pipeline = "house";
    commit.stage = "climate";
    store::Silence silence;
    silence.id = "later";
    silence.from_ms = silence.created_ms = now - 30'000;
    silence.to_ms = now + 3'600'000;
    commit.silences.push_back(silence);
    store->commit(std::move(commit), {});
    REQUIRE(store->flush());
  }
  json shown = json::parse(site.alerts({"show", "house/climate/hot/room#1", "--format", "json"}).out);
  REQUIRE(shown.size() == 1);
  CHECK(shown[0]["timeline"].size() == 3);
  CHECK(shown[0]["silences"].empty());
}

TEST_CASE("alerts export writes every event with all its columns, as CSV and as JSON lines") {
  Site site;
  const std::string csv = site.alerts({"export"}).out;
  CHECK(csv.starts_with("seq,incident_id,ordinal,pipeline,stage,rule,"));
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 4);
  CHECK_THAT(csv, Contains("1,house/climate/hot/room#1,1,house,climate,hot,,room,OK,FIRING,") && Contains(",31.5,"));
  const std::string lines = site.alerts({"export", "--format", "jsonl", "--since", "1h"}).out;
  const json event = json::parse(lines);
  CHECK(event["incident_id"] == "house/climate/hot/room#2");
  CHECK(event["value"] == 31.5);
  CHECK(event["run_id"] == "1");
  CHECK_FALSE(event.contains("comment"));
  CHECK(site.alerts({"export", "--rule", "cold", "--format", "jsonl"}).out.empty());
}
