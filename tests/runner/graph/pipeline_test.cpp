#include "runner/graph/pipeline.h"

#include <catch2/catch.hpp>

#include "runner/config/plugin.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::graph;

namespace {

struct NoOptions {
  static void describe(config::Fields<NoOptions>&) {}
};
struct Tap final : Source {
  using Config = NoOptions;
  Tap(Config, Context) {}
  Result<Batch> poll() override { return finished(); }
};
struct Rule final : Transform {
  struct Config {
    config::InputFile script;
    int level = 0;
    static void describe(config::Fields<Config>& f) {
      f.field("script", &Config::script).doc("A file.");
      f.field("level", &Config::level).doc("A number.");
    }
  };
  Rule(Config, Context) {}
  Result<Batch> process(Batch&& batch) override { return std::move(batch); }
};
struct Drain final : Sink {
  using Config = NoOptions;
  Drain(Config, Context) {}
  Result<void> write(const Batch&) override { return {}; }
};

Loader loader() {
  return Loader({config::define_plugin<Tap>("tap", ""), config::define_plugin<Rule>("rule", ""),
                 config::define_plugin<Drain>("drain", "")},
                [](std::string_view) { return std::nullopt; });
}

struct Loaded {
  std::optional<Pipeline> pipeline;
  std::vector<std::string> problems;
};

Loaded load(std::string_view text, const std::filesystem::path& file = "p.yaml") {
  config::Problems problems(file);
  Loaded loaded;
  Loader l = loader();
  loaded.pipeline = l.parse(text, problems);
  for (const auto& p : problems.list()) loaded.problems.push_back(p.text());
  // The plugins end with the loader; only what does not point to them may be looked at.
  return loaded;
}

std::vector<std::string> problems_of(std::string_view text) { return load(text).problems; }

}  // namespace

TEST_CASE("a plain chain needs no wiring") {
  auto [pipeline, problems] = load("name: p\nstages:\n  - plugin: tap\n  - plugin: rule\n  - plugin: drain\n");
  REQUIRE(problems.empty());
  REQUIRE(pipeline->stages.size() == 3);
  CHECK(pipeline->stages[0].from.empty());
  CHECK(pipeline->stages[1].from == std::vector<std::size_t>{0});
  CHECK(pipeline->stages[2].from == std::vector<std::size_t>{1});
  CHECK(pipeline->stages[1].id == "rule");
}

TEST_CASE("stages may stand in any order; records flow forward all the same") {
  auto [pipeline, problems] = load(
      "stages:\n"
      "  - {id: out, plugin: drain, from: [two, one]}\n"
      "  - {id: two, plugin: rule, from: one}\n"
      "  - {id: one, plugin: rule, from: in}\n"
      "  - {id: in, plugin: tap}\n");
  REQUIRE(problems.empty());
  for (std::size_t i = 0; i < pipeline->stages.size(); ++i)
    for (std::size_t from : pipeline->stages[i].from) CHECK(from < i);
  CHECK(pipeline->stages.back().id == "out");
  CHECK(pipeline->stages.back().from.size() == 2);
  CHECK(pipeline->name == "p");
}

TEST_CASE("mistakes in the wiring are named at their place") {
  CHECK(problems_of("stages:\n  - plugin: tap\n  - {plugin: drain, from: tpa}\n") ==
        std::vector<std::string>{"p.yaml:3:27: 'from' names 'tpa', which is no stage; did you mean 'tap'?",
                                 "p.yaml:2:5: nobody reads from 'tap'"});
  CHECK(problems_of("stages:\n  - plugin: tap\n  - {id: a, plugin: rule, from: b}\n  - {id: b, plugin: rule, from: a}\n"
                    "  - {plugin: drain, from: [b, tap]}\n") ==
        std::vector<std::string>{"p.yaml:3:33: 'a' reads, by a circle, from itself: a from b from a"});
  CHECK(problems_of("stages:\n  - plugin: tap\n  - plugin: drain\n  - plugin: rule\n") ==
        std::vector<std::string>{"p.yaml:4:5: 'rule' reads from 'drain', which is a sink and emits nothing; say 'from'"});
  CHECK(problems_of(
            "stages:\n  - {id: x, plugin: tap}\n  - {id: y, plugin: tap, from: x}\n  - {plugin: drain, from: [y, x]}\n") ==
        std::vector<std::string>{"p.yaml:3:32: 'y' is a source and reads from nobody"});
  CHECK(problems_of("stages:\n  - plugin: rule\n") ==
        std::vector<std::string>{"p.yaml:2:5: 'rule' has nothing to read from: there is no stage above it"});
  CHECK(problems_of("stages:\n  - plugin: tap\n  - {plugin: drain, from: [tap, tap]}\n") ==
        std::vector<std::string>{"p.yaml:3:33: 'from' names 'tap' twice"});
  CHECK(problems_of("stages:\n  - plugin: tap\n  - plugin: rule\n  - plugin: rule\n") ==
        std::vector<std::string>{"p.yaml:4:5: a second stage 'rule', first at line 3; give it an 'id' of its own"});
  CHECK(problems_of("stages: []\n") == std::vector<std::string>{"p.yaml:1:9: a pipeline needs at least one stage"});
  CHECK(problems_of("stages:\n  - {id: ../up, plugin: tap}\n  - plugin: drain\n").size() == 1);
}

TEST_CASE("a plugin's mistakes and the wiring's are told in one run") {
  CHECK(problems_of("stages:\n  - plugin: tap\n  - {plugin: rule, level: high}\n  - {plugin: drian}\n  - 5\n") ==
        std::vector<std::string>{
            "p.yaml:3:27: 'level': expected an integer, got 'high'",
            "p.yaml:4:14: unknown plugin 'drian'; did you mean 'drain'?",
            "p.yaml:5:5: expected a stage, which is a map, got '5'",
        });
}

TEST_CASE("a circle is told whatever else is wrong") {
  CHECK(problems_of("stages:\n  - {id: s, plugin: tap}\n  - {id: a, plugin: rule, level: high, from: [s, c]}\n"
                    "  - {id: b, plugin: rlue, from: a}\n  - {id: c, plugin: rule, from: b}\n  - {plugin: drain, from: c}\n") ==
        std::vector<std::string>{
            "p.yaml:3:34: 'level': expected an integer, got 'high'",
            "p.yaml:4:21: unknown plugin 'rlue'; did you mean 'rule'?",
            "p.yaml:3:46: 'a' reads, by a circle, from itself: a from c from b from a",
        });
}

TEST_CASE("what a listener would refuse stands at its option, and what is well of a broken listen is looked at") {
  Loader checking(
      {config::define_plugin<Tap>("tap", ""), config::define_plugin<Drain>("drain", "")},
      [](std::string_view) { return std::nullopt; },
      [](const Listen& listen) {
        std::vector<ListenProblem> problems{{"address", "", "no " + listen.address}};
        if (listen.tls) problems.push_back({"tls", "key", "no key"});
        return problems;
      });
  auto told = [&](std::string_view listen) {
    config::Problems problems("p.yaml");
    checking.parse(std::string(listen) + "stages:\n  - plugin: tap\n  - plugin: drain\n", problems);
    std::vector<std::string> texts;
    for (const auto& p : problems.list()) texts.push_back(p.text());
    return texts;
  };
  CHECK(told("listen: 1.2.3.4:5\n") == std::vector<std::string>{"p.yaml:1:9: no 1.2.3.4:5"});
  CHECK(told("listen:\n  address: x\n  insecure: 7\n  tls: {cert: a, key: b}\n") ==
        std::vector<std::string>{"p.yaml:3:13: 'insecure': expected true or false, got '7'", "p.yaml:2:12: no x",
                                 "p.yaml:4:23: no key"});
}

TEST_CASE("a fingerprint sees options and files, not wiring, order or comments") {
  test::TempFolder folder;
  folder.write("a.lua", "return 1");
  auto fingerprint = [&](std::string_view rule) {
    auto loaded =
        load("stages:\n  - plugin: tap\n  - " + std::string(rule) + "\n  - plugin: drain\n", folder.path() / "p.yaml");
    REQUIRE(loaded.problems.empty());
    return loaded.pipeline->stages[1].fingerprint;
  };
  std::string before = fingerprint("{plugin: rule, level: 1, script: a.lua}");
  CHECK(fingerprint("{script: a.lua, level: 1, plugin: rule, on_full: drop_oldest, queue: {records: 5}} # so") == before);
  CHECK(fingerprint("{plugin: rule, level: 2, script: a.lua}") != before);
  CHECK(fingerprint("{plugin: rule, level: 1}") != before);
  folder.write("a.lua", "return 2");
  CHECK(fingerprint("{plugin: rule, level: 1, script: a.lua}") != before);
}

TEST_CASE("two stages that read one file both notice its change") {
  test::TempFolder folder;
  folder.write("a.lua", "return 1");
  std::string text =
      "stages:\n  - plugin: tap\n  - {id: a, plugin: rule, script: a.lua}\n  - {id: b, plugin: rule, script: a.lua}\n  - "
      "plugin: drain\n";
  auto before = load(text, folder.path() / "p.yaml");
  folder.write("a.lua", "return 2");
  auto after = load(text, folder.path() / "p.yaml");
  REQUIRE(before.pipeline);
  REQUIRE(after.pipeline);
  CHECK(before.pipeline->stages[1].fingerprint != after.pipeline->stages[1].fingerprint);
  CHECK(before.pipeline->stages[2].fingerprint != after.pipeline->stages[2].fingerprint);
  CHECK(before.pipeline->inputs == std::vector{folder.path() / "a.lua"});
}

TEST_CASE("names that are empty are refused at their place") {
  auto problems = problems_of(
      "name: ''\nlisten: ''\nstages:\n  - {id: '', plugin: tap}\n  - {plugin: drain, from: ['']}\n  - plugin: ''\n");
  for (const char* place : {"p.yaml:1:7: ", "p.yaml:2:9: ", "p.yaml:4:10: ", "p.yaml:5:28: ", "p.yaml:6:13: "}) {
    INFO(place);
    CHECK(std::count_if(problems.begin(), problems.end(), [&](const std::string& p) {
            return p.starts_with(place) && p.find("not empty, got ''") != std::string::npos;
          }) == 1);
  }
}

TEST_CASE("a stage whose name is a variable without a value is one mistake") {
  CHECK(problems_of("stages:\n  - {id: '${NONE}', plugin: tap}\n  - {id: tap, plugin: rule, from: b}\n  - {plugin: drain}\n")
            .size() == 1);
  CHECK(problems_of("stages:\n  - {id: a, plugin: tap}\n  - {plugin: drain, from: '${NONE}'}\n").size() == 1);
}

TEST_CASE("what can be understood of a file with mistakes is there to be looked at") {
  test::TempFolder folder;
  folder.write("p.yaml", "stages:\n  - {id: a, plugin: tpa}\n  - {id: b, plugin: drain}\ntests:\n  - {name: t, input: [1]}\n");
  config::Problems problems(folder.path() / "p.yaml");
  Loader l = loader();
  auto pipeline = l.examine(problems);
  REQUIRE(pipeline);
  CHECK(problems.size() == 2);
  REQUIRE(pipeline->stages.size() == 2);
  CHECK(pipeline->stages[0].id == "a");
  CHECK(pipeline->stages[0].plugin == nullptr);
  REQUIRE(pipeline->tests.size() == 1);
  CHECK(pipeline->tests[0].input.size() == 1);
}
