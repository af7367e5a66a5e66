#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/cli/control.h"
#include "runner/store/data_folder.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

using namespace millrace;

namespace {

using Catch::Matchers::Contains;
using nlohmann::json;

struct Outcome {
  int status = 0;
  std::string out, err;
};

// Runs `millrace alerts ...` with its outputs caught.
Outcome run(std::vector<std::string> arguments, const std::filesystem::path& scratch) {
  CLI::App app;
  app.require_subcommand(1);
  cli::Program program;
  cli::add_alerts(app, program);
  Outcome outcome;
  auto redirect = [](std::FILE* file, const std::filesystem::path& path) {
    std::fflush(file);
    int kept = ::dup(::fileno(file));
    std::FILE* caught = std::fopen(path.c_str(), "w");
    ::dup2(::fileno(caught), ::fileno(file));
    std::fclose(caught);
    return kept;
  };
  auto restore = [](std::FILE* file, int kept) {
    std::fflush(file);
    ::dup2(kept, ::fileno(file));
    ::close(kept);
  };
  auto read = [](const std::filesystem::path& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  int out = redirect(stdout, scratch / "out");
  int err = redirect(stderr, scratch / "err");
  arguments.insert(arguments.begin(), "alerts");
  std::reverse(arguments.begin(), arguments.end());
  try {
    app.parse(arguments);
    outcome.status = program.status;
  } catch (const CLI::ParseError&) {
    outcome.status = cli::wrong_use;
  }
  restore(stdout, out);
  restore(stderr, err);
  outcome.out = read(scratch / "out");
  outcome.err = read(scratch / "err");
  return outcome;
}

// A data folder whose history has one incident that has ended and one that is open, of the same key.
struct Site {
  test::TempFolder scratch;
  std::filesystem::path data = scratch.path() / "data";

  Site() {
    std::filesystem::create_directories(data);
    auto store = store::Store::open(data).value();
    const auto now = to_whole_millis(SystemClock().now());
    write(*store, 1, 1, "OK", "FIRING", "condition", now - 7'200'000);
    write(*store, 1, 2, "FIRING", "OK", "resolved", now - 7'100'000);
    write(*store, 2, 3, "OK", "FIRING", "condition", now - 60'000);
    REQUIRE(store->flush());
  }

  static void write(store::Store& store, std::uint64_t opening, std::uint64_t ordinal, const char* from, const char* to,
                    const char* reason, std::int64_t ms) {
    store::Commit commit;
    commit.pipeline = "house";
    commit.stage = "climate";
    store::Event event;
    event.incident_id = store::incident_id("house/climate/hot/room", opening);
    event.ordinal = ordinal;
    event.rule = "hot";
    event.key = "room";
    event.from_state = from;
    event.to_state = to;
    event.level_to = "warning";
    event.reason = reason;
    event.opens = event.to_state == "FIRING";
    event.event_ms = event.wall_ms = ms;
    event.value = 31.5;
    event.message = "room is hot\x1b[31m";
    store::State state;
    state.rule = "hot";
    state.key = "room";
    state.state = to;
    state.opening = opening;
    state.events = ordinal;
    if (event.opens) state.incident_id = event.incident_id;
    commit.events.push_back(event);
    commit.states.push_back(state);
    store.commit(std::move(commit), {});
  }

  Outcome alerts(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--data", data.string()});
    return run(std::move(arguments), scratch.path());
  }
};

}  // namespace

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

TEST_CASE("alerts ack asks the running instance, and only for what is open") {
  Site site;
  Outcome idle = site.alerts({"ack", "room", "--by", "ada"});
  CHECK(idle.status == cli::failed);
  CHECK_THAT(idle.err, Contains("no instance runs"));

  auto folder = store::DataFolder::lock(site.data);
  std::mutex mutex;
  std::vector<json> requests;
  std::string answer =
      R"({"ok": true, "alerts": [{"rule": "hot", "key": "room", "outcome": "acknowledged", "acked_by": "ada"}]})";
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  std::lock_guard lock(mutex);
                  requests.push_back(json::parse(request));
                  return answer;
                }).value();
  Outcome acked = site.alerts({"ack", "room", "--by", "ada", "--comment", "on my way"});
  CHECK(acked.status == 0);
  CHECK_THAT(acked.out, Contains("house/climate/hot/room#2") && Contains("ada"));
  REQUIRE(requests.size() == 1);
  CHECK(requests[0] == json{{"command", "ack"},
                            {"pipeline", "house"},
                            {"stage", "climate"},
                            {"rule", "hot"},
                            {"key", "room"},
                            {"incident", "house/climate/hot/room#2"},
                            {"by", "ada"},
                            {"comment", "on my way"}});
  answer = R"({"ok": true, "alerts": [{"rule": "hot", "key": "room", "outcome": "already", "acked_by": "ada"}]})";
  Outcome second = site.alerts({"ack", "room", "--by", "bob"});
  CHECK(second.status == 0);
  CHECK_THAT(second.out, Contains("was already acknowledged by ada") && Contains("ignored"));
  requests.pop_back();
  Outcome over = site.alerts({"ack", "house/climate/hot/room#1", "--by", "ada"});
  CHECK(over.status == cli::failed);
  CHECK_THAT(over.err, Contains("has ended already"));
  CHECK(requests.size() == 1);
  answer = R"({"ok": false, "error": "the stage is stopping"})";
  Outcome refused = site.alerts({"ack", "room", "--by", "ada"});
  CHECK(refused.status == cli::failed);
  CHECK_THAT(refused.err, Contains("the stage is stopping"));
}

TEST_CASE("who acknowledges is --by, else $USER, else the login name: a container and a timer have no $USER") {
  const passwd* login = ::getpwuid(::geteuid());
  REQUIRE(login != nullptr);
  Site site;
  auto folder = store::DataFolder::lock(site.data);
  std::string by;
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  by = json::parse(request)["by"];
                  return R"({"ok": true, "alerts": []})";
                }).value();
  const char* present = std::getenv("USER");
  const std::string user = present == nullptr ? "" : present;
  ::setenv("USER", "bob", 1);
  CHECK(site.alerts({"ack", "room", "--by", "ada"}).status == cli::done);
  CHECK(by == "ada");
  CHECK(site.alerts({"ack", "room"}).status == cli::done);
  CHECK(by == "bob");
  ::unsetenv("USER");
  CHECK(site.alerts({"ack", "room"}).status == cli::done);
  CHECK(by == login->pw_name);
  ::setenv("USER", user.c_str(), 1);
}

TEST_CASE("alerts silence and unsilence ask the running instance for just what was said") {
  Site site;
  Outcome idle = site.alerts({"silence", "--for", "2h", "--by", "ada"});
  CHECK(idle.status == cli::failed);
  CHECK_THAT(idle.err, Contains("no instance runs"));
  CHECK(site.alerts({"silence", "--key", "room"}).status == cli::wrong_use);

  auto folder = store::DataFolder::lock(site.data);
  std::mutex mutex;
  std::vector<json> requests;
  std::string answer = R"({"ok": true, "silences": [{"id": "room@1", "pipeline": "house", "stage": "climate", "to": 9}]})";
  auto server = cli::ControlServer::serve(folder->control_socket(), [&](std::string_view request) {
                  std::lock_guard lock(mutex);
                  requests.push_back(json::parse(request));
                  return answer;
                }).value();
  Outcome silenced = site.alerts({"silence", "--key", "room", "--stage", "house/climate", "--for", "2h", "--by", "ada",
                                  "--comment", "painting", "--format", "json"});
  REQUIRE(silenced.status == 0);
  REQUIRE(requests.size() == 1);
  json asked = requests[0];
  CHECK(asked["to"].get<std::int64_t>() - asked["from"].get<std::int64_t>() == 7'200'000);
  CHECK(json::parse(silenced.out)[0]["id"] == "room@1");
  asked.erase("from");
  asked.erase("to");
  CHECK(asked == json{{"command", "silence"},
                      {"pipeline", "house"},
                      {"stage", "climate"},
                      {"key", "room"},
                      {"by", "ada"},
                      {"comment", "painting"}});
  CHECK(site.alerts({"unsilence", "room@1", "--by", "bob"}).status == 0);
  CHECK(requests[1] == json{{"command", "unsilence"}, {"id", "room@1"}, {"by", "bob"}});
  CHECK(site.alerts({"silence", "--from", "2050-01-01T00:00:00Z", "--to", "2050-01-02T00:00:00Z", "--by", "ada"}).status == 0);
  CHECK(requests[2]["from"] == 2'524'608'000'000);
  CHECK(requests[2]["to"] == 2'524'694'400'000);
  CHECK_FALSE(requests[2].contains("once"));
  CHECK(site.alerts({"silence", "--key", "room", "--for", "1d", "--once", "--by", "ada"}).status == 0);
  CHECK(requests[3]["once"] == true);
  answer = R"({"ok": false, "error": "no silence is called 'x'"})";
  Outcome refused = site.alerts({"unsilence", "x", "--by", "bob"});
  CHECK(refused.status == cli::failed);
  CHECK_THAT(refused.err, Contains("no silence is called 'x'"));
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
