#include <catch2/catch.hpp>
#include <string>

#include "runner/config/plugin.h"
#include "runner/config/yaml.h"
#include "runner/stage/json.h"
#include "tests/support/test_host.h"

namespace millrace {
Plugin lua_plugin();
}

namespace {

using namespace millrace;

std::vector<std::string> problems_of(const std::string& options, const std::filesystem::path& file = "test.yaml") {
  config::Problems problems{file};
  auto node = config::parse_yaml("plugin: lua\n" + options, problems);
  REQUIRE(node);
  CHECK_FALSE(lua_plugin().parse(*node, problems));
  std::vector<std::string> texts;
  for (const auto& p : problems.list()) texts.push_back(std::to_string(p.position.line) + ": " + p.what);
  return texts;
}

struct Stage {
  explicit Stage(const std::string& options, const std::filesystem::path& file = "test.yaml") {
    host->time.set(from_millis(1700000000000));
    config::Problems problems{file};
    auto node = config::parse_yaml("plugin: lua\n" + options, problems);
    REQUIRE(node);
    auto construct = lua_plugin().parse(*node, problems);
    for (const auto& p : problems.list()) UNSCOPED_INFO(p.what);
    REQUIRE(construct);
    stage = std::move(std::get<std::unique_ptr<Transform>>(construct(host->context())));
  }

  std::string process(std::string_view json) {
    Batch batch;
    REQUIRE(JsonDecoder().decode(json, batch));
    auto out = stage->process(std::move(batch));
    REQUIRE(out.has_value());
    return lines(*out);
  }

  static std::string lines(const Batch& batch) {
    std::string text;
    for (const Record& r : batch.records) {
      append_json(text, r.fields.view());
      text += '\n';
    }
    return text;
  }

  std::shared_ptr<test::TestHost> host = test::TestHost::make("rule");
  std::unique_ptr<Transform> stage;
};

std::string code(std::string_view lua) {
  std::string text = "code: |\n  ";
  for (char c : lua) {
    text += c;
    if (c == '\n') text += "  ";
  }
  return text + "\n";
}

TEST_CASE("a script's errors are found when the configuration is read") {
  CHECK(problems_of("memory: 1MiB\n") == std::vector<std::string>{"1: missing key 'script' (or 'code')"});
  auto syntax = problems_of(code("function process(record)\n  return return\nend"));
  REQUIRE(syntax.size() == 1);
  CHECK_THAT(syntax[0], Catch::StartsWith("2: code:2: ") && Catch::Contains("near 'return'"));
  CHECK_THAT(problems_of(code("x = 1")).at(0), Catch::Contains("defines no function process(record, meta)"));
  CHECK_THAT(problems_of(code("error('no')")).at(0), Catch::Contains("code:1: no"));
  CHECK_THAT(problems_of(code("while true do end")).at(0), Catch::Contains("used up its 1000000 instructions"));
  CHECK_THAT(problems_of(code("function process(r) return r end") + "tick: 1s\n").at(0),
             Catch::Contains("no function tick(now)"));
  CHECK(problems_of(code("function process(r) return r end") + "memory: 1KiB\ninstructions: 1\n").size() == 2);
}

TEST_CASE("a script's file is named with its line") {
  test::TempFolder folder;
  folder.write("broken.lua", "\n\nfunction process(record\n");
  auto found = problems_of("script: broken.lua\n", folder.path() / "pipeline.yaml");
  REQUIRE(found.size() == 1);
  CHECK_THAT(found[0], Catch::StartsWith("2: broken.lua:"));
  CHECK(problems_of("script: absent.lua\n", folder.path() / "pipeline.yaml").size() == 1);
}

TEST_CASE("records pass through a script from a file; init runs first") {
  test::TempFolder folder;
  folder.write("rule.lua", "function init() base = 10 end function process(r) r.v = r.v + base return r end");
  Stage stage("script: rule.lua\n", folder.path() / "pipeline.yaml");
  REQUIRE(stage.stage->connect());
  CHECK(stage.process(R"([{"v":1},{"v":2}])") == "{\"v\":11}\n{\"v\":12}\n");
}

TEST_CASE("a record the script fails on is rejected with a traceback, a dropped one counted, the others go on") {
  Stage stage(
      code("function process(r)\n  if r.v == 2 then error('two') end\n  if r.v == 3 then return nil end\n  return r\nend"));
  REQUIRE(stage.stage->connect());
  CHECK(stage.process(R"([{"v":1},{"v":2},{"v":3},{"v":4}])") == "{\"v\":1}\n{\"v\":4}\n");
  REQUIRE(stage.host->rejects.size() == 1);
  CHECK(stage.host->rejects[0].kind == ErrorKind::rejected);
  CHECK_THAT(stage.host->rejects[0].what,
             Catch::StartsWith("code:2: two\nstack traceback:") && Catch::Contains("code:2: in function"));
  CHECK(stage.host->dropped("script").value() == 1);
  CHECK(stage.host->counter("script_errors").value() == 1);
}

TEST_CASE("a script that overruns its limits starts afresh and is counted") {
  Stage stage(code("n = 0\nfunction process(r)\n  n = n + 1\n  while r.v == 2 do end\n  r.n = n\n  return r\nend") +
              "instructions: 10000\n");
  REQUIRE(stage.stage->connect());
  CHECK(stage.process(R"([{"v":1},{"v":2},{"v":3}])") == "{\"v\":1,\"n\":1}\n{\"v\":3,\"n\":1}\n");
  CHECK(stage.host->counter("script_restarts").value() == 1);
  CHECK_THAT(stage.host->rejects.at(0).what, Catch::Contains("used up its 10000 instructions"));
}

TEST_CASE("a failing init refuses the start") {
  Stage stage(code("function init() error('no table') end function process(r) return r end"));
  auto connected = stage.stage->connect();
  REQUIRE_FALSE(connected);
  CHECK(connected.error().kind == ErrorKind::invalid);
  CHECK_THAT(connected.error().what, Catch::StartsWith("init() failed: code:1: no table"));
}

TEST_CASE("tick makes records at its interval, and missed ticks are not made up") {
  Stage stage(code("n = 0\nfunction process(r) n = n + 1 return nil end\n"
                   "function tick(now) local r = Record({count = n}, {device = 'all'}) n = 0 return r end") +
              "tick: 10s\n");
  REQUIRE(stage.stage->connect());
  const Time start = stage.host->time.now();
  REQUIRE(stage.stage->next_tick() == start + 10s);
  stage.process(R"([{"v":1},{"v":2}])");
  stage.host->time.set(start + 10s);
  auto out = stage.stage->tick(start + 10s);
  REQUIRE(out.has_value());
  REQUIRE(out->size() == 1);
  CHECK(Stage::lines(*out) == "{\"count\":2}\n");
  CHECK(out->records[0].device == "all");
  CHECK(out->records[0].time == start + 10s);
  CHECK(stage.stage->tick(start + 15s)->empty());
  CHECK(stage.stage->next_tick() == start + 20s);
  CHECK(stage.stage->tick(start + 55s)->size() == 1);
  CHECK(stage.stage->next_tick() == start + 60s);
}

TEST_CASE("a failing tick is logged and counted, and the next one comes") {
  Stage stage(code("function process(r) return r end\nfunction tick(now) error('late') end"));
  REQUIRE(stage.stage->connect());
  CHECK(stage.stage->tick(*stage.stage->next_tick())->empty());
  CHECK(stage.host->counter("script_errors").value() == 1);
  REQUIRE(stage.host->logs().size() == 1);
  CHECK_THAT(stage.host->logs()[0], Catch::StartsWith("tick() failed: code:2: late"));
  CHECK(stage.stage->next_tick() == stage.host->time.now() + 2s);
}

TEST_CASE("a script without tick never asks for one") {
  Stage stage(code("function process(r) return r end"));
  REQUIRE(stage.stage->connect());
  CHECK_FALSE(stage.stage->next_tick());
}

}  // namespace
