#include "runner/config/fields.h"

#include <catch2/catch.hpp>

#include "runner/config/yaml.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::config;

namespace {

struct Point {
  double x = 0, y = 0;
  static void describe(Fields<Point>& f) {
    f.field("x", &Point::x).doc("East.");
    f.field("y", &Point::y).doc("North.");
    f.shorthand("x");
  }
};

enum class Policy { drop, adjust };

struct Sample {
  std::string name;
  int qos = 1;
  Duration every = 1s;
  Bytes limit{64 << 10};
  Policy policy = Policy::drop;
  std::vector<std::string> topics;
  std::optional<Point> at;
  Map<Point> places;
  Secret password;

  static void describe(Fields<Sample>& f) {
    f.field("name", &Sample::name).doc("Its name.").required();
    f.field("qos", &Sample::qos).doc("Quality of service.").min(0).max(2);
    f.field("every", &Sample::every).doc("How often.").min(1ms);
    f.field("limit", &Sample::limit).doc("How much.");
    f.choice("policy", &Sample::policy, {{"drop", Policy::drop}, {"adjust", Policy::adjust}}).doc("What happens.");
    f.field("topics", &Sample::topics).doc("Which ones.");
    f.field("at", &Sample::at).doc("Where.");
    f.field("places", &Sample::places).doc("Named places.");
    f.field("password", &Sample::password).doc("A secret.");
    f.check({"qos", "topics"}, [](const Sample& s, CheckReport<Sample>& report) {
      if (s.qos == 2 && s.topics.empty()) report.wrong("qos", "qos 2 needs topics");
    });
  }
};

struct Read {
  Sample sample;
  std::vector<std::string> problems;
};

Read read(std::string_view text) {
  Read result;
  Problems problems("p.yaml");
  auto node = parse_yaml(text, problems);
  REQUIRE(node);
  declaration_of<Sample>()->read(*node, result.sample, "", problems, {"id"});
  for (const Problem& p : problems.list()) result.problems.push_back(p.text());
  return result;
}

}  // namespace

TEST_CASE("options land in their members, and defaults are the initialisers") {
  auto [s, problems] =
      read("name: a\nevery: 1m30s\ntopics: one\nat: {x: 1, y: 2.5}\nplaces: {home: 3}\npolicy: adjust\nid: mine\n");
  CHECK(problems.empty());
  CHECK(s.name == "a");
  CHECK(s.qos == 1);
  CHECK(s.every == 90s);
  CHECK(s.topics == std::vector<std::string>{"one"});
  REQUIRE(s.at);
  CHECK(s.at->y == 2.5);
  REQUIRE(s.places.size() == 1);
  CHECK(s.places[0].second.x == 3);
  CHECK(s.policy == Policy::adjust);
}

TEST_CASE("everything that is wrong is said in one run, each at its place") {
  auto [s, problems] = read("qos: 3\nevery: 10\nlimit: big\npolicy: dorp\nat: {x: 1, z: 2}\ntopcis: a\nplaces: {home: no}\n");
  CHECK(problems == std::vector<std::string>{
                        "p.yaml:1:6: 'qos': expected at most 2, got '3'",
                        "p.yaml:2:8: 'every': expected a duration with its unit, such as 250ms, 30s, 5m or 1h30m, got '10'",
                        "p.yaml:3:8: 'limit': expected a size with its unit, such as 512B, 64KiB or 1GiB, got 'big'",
                        "p.yaml:4:9: 'policy': expected one of drop, adjust, got 'dorp'",
                        "p.yaml:5:12: unknown key 'z'; did you mean 'x'?",
                        "p.yaml:6:1: unknown key 'topcis'; did you mean 'topics'?",
                        "p.yaml:7:16: 'x': expected a number, got 'no'",
                        "p.yaml:1:1: missing key 'name'",
                    });
}

TEST_CASE("types are not guessed: a quoted number is a text") {
  CHECK(read("name: a\nqos: \"1\"\n").problems == std::vector<std::string>{"p.yaml:2:6: 'qos': expected an integer, got '1'"});
  CHECK(read("name: a\nqos: 1.5\n").problems.size() == 1);
  CHECK(read("name: a\nqos: [1]\n").problems == std::vector<std::string>{"p.yaml:2:6: 'qos': expected an integer, got a list"});
  CHECK(read("name:\n").problems == std::vector<std::string>{"p.yaml:1:1: 'name': expected a text, got nothing"});
}

TEST_CASE("a secret is never shown") {
  auto [s, problems] = read("name: a\npassword: [hunter2]\n");
  REQUIRE(problems.size() == 1);
  CHECK(problems[0].find("hunter2") == std::string::npos);
  CHECK(read("name: a\npassword: hunter2\n").sample.password.text == "hunter2");
}

TEST_CASE("a check between options stands at the option it names") {
  CHECK(read("name: a\nqos: 2\n").problems == std::vector<std::string>{"p.yaml:2:6: qos 2 needs topics"});
}

TEST_CASE("a check between options is made whenever its own options are well, whatever is wrong elsewhere") {
  CHECK(read("name: a\nqos: 2\nevery: 10\n").problems ==
        std::vector<std::string>{
            "p.yaml:3:8: 'every': expected a duration with its unit, such as 250ms, 30s, 5m or 1h30m, got '10'",
            "p.yaml:2:6: qos 2 needs topics",
        });
  CHECK(read("qos: 2\nnonsense: 1\n").problems == std::vector<std::string>{
                                                      "p.yaml:2:1: unknown key 'nonsense'",
                                                      "p.yaml:1:1: missing key 'name'",
                                                      "p.yaml:1:6: qos 2 needs topics",
                                                  });
}

TEST_CASE("a check is not made of an option that could not be read, or was misspelt") {
  CHECK(read("name: a\nqos: 2\ntopics: {a: b}\n").problems ==
        std::vector<std::string>{"p.yaml:3:9: 'topics': expected a text, got a map"});
  CHECK(read("name: a\nqos: 2\ntopisc: [a]\n").problems ==
        std::vector<std::string>{"p.yaml:3:1: unknown key 'topisc'; did you mean 'topics'?"});
}

TEST_CASE("a list's other elements are held to the limits when one cannot be read") {
  struct Levels {
    std::vector<int> levels;
    static void describe(Fields<Levels>& f) { f.field("levels", &Levels::levels).doc("Levels.").max(9); }
  };
  Problems problems("p.yaml");
  auto node = parse_yaml("levels: [10, x, 3]\n", problems);
  Levels options;
  CHECK_FALSE(declaration_of<Levels>()->read(*node, options, "", problems));
  REQUIRE(problems.size() == 2);
  CHECK(problems.list()[0].text() == "p.yaml:1:14: 'levels': expected an integer, got 'x'");
  CHECK(problems.list()[1].text() == "p.yaml:1:10: 'levels': expected at most 9, got '10'");
}

TEST_CASE("a check can point into an option") {
  struct Nested {
    std::vector<std::string> to;
    Map<Point> places;
    static void describe(Fields<Nested>& f) {
      f.field("to", &Nested::to).doc("Whom.");
      f.field("places", &Nested::places).doc("Where.");
      f.check([](const Nested&, CheckReport<Nested>& report) {
        report.wrong_at({"to", "1"}, "second");
        report.wrong_at({"places", "home", "y"}, "north");
        report.wrong_at({"places", "away", "y"}, "nowhere");
        report.wrong_at({"to", "7"}, "too far");
      });
    }
  };
  Problems problems("p.yaml");
  auto node = parse_yaml("to: [a, b]\nplaces:\n  home: {x: 1, y: 2}\n", problems);
  Nested options;
  CHECK_FALSE(declaration_of<Nested>()->read(*node, options, "", problems));
  std::vector<std::string> texts;
  for (const Problem& p : problems.list()) texts.push_back(p.text());
  CHECK(texts ==
        std::vector<std::string>{"p.yaml:1:9: second", "p.yaml:3:19: north", "p.yaml:3:3: nowhere", "p.yaml:1:5: too far"});
}

TEST_CASE("the declaration describes itself") {
  const auto& fields = declaration_of<Sample>()->fields();
  CHECK(fields[1].default_text == "1");
  CHECK(fields[1].maximum == "2");
  CHECK(fields[2].default_text == "1s");
  CHECK(fields[3].default_text == "64KiB");
  CHECK(fields[4].default_text == "drop");
  CHECK(fields[5].type_text() == "list of string");
  CHECK(fields[7].type_text() == "map of object");
  CHECK(fields[8].secret);
  CHECK(declaration_of<Sample>()->undocumented().empty());
}

TEST_CASE("durations and sizes read and show themselves") {
  CHECK(*parse_duration("1h30m") == 90min);
  CHECK(*parse_duration("1.5s") == 1500ms);
  CHECK(*parse_duration("0s") == 0s);
  CHECK(parse_duration("10").has_error());
  CHECK(parse_duration("-1s").has_error());
  CHECK(parse_duration("1fortnight").has_error());
  CHECK(parse_duration("99999999999999999d").has_error());
  CHECK(show_duration(90min) == "1h30m");
  CHECK(show_duration(168h) == "7d");
  CHECK(show_duration(1500ms) == "1s500ms");
  CHECK(parse_bytes("1GiB")->count == 1073741824);
  CHECK(parse_bytes("1.5 KB")->count == 1500);
  CHECK(parse_bytes("64").has_error());
  CHECK(show_bytes({1536}) == "1536B");
  CHECK(show_bytes({65536}) == "64KiB");
}

TEST_CASE("an input file is read beside the file that names it") {
  test::TempFolder folder;
  folder.write("rule.lua", "return 1");
  struct WithFile {
    InputFile script;
    static void describe(Fields<WithFile>& f) { f.field("script", &WithFile::script).doc("A script."); }
  };
  Problems problems(folder.path() / "p.yaml");
  auto node = parse_yaml("script: rule.lua\n", problems);
  WithFile options;
  CHECK(declaration_of<WithFile>()->read(*node, options, "", problems));
  CHECK(options.script.text == "return 1");
  CHECK(problems.inputs() == std::vector{folder.path() / "rule.lua"});
  auto missing = parse_yaml("script: none.lua\n", problems);
  CHECK_FALSE(declaration_of<WithFile>()->read(*missing, options, "", problems));
  CHECK(problems.inputs() == std::vector{folder.path() / "rule.lua", folder.path() / "none.lua"});
}

namespace {

struct Named {
  std::string id;
  std::vector<std::string> from;
  std::int64_t count = 1;
  Duration every = 1s;
  Bytes size{1};
  Point at;
  Map<Point> places;

  static void describe(Fields<Named>& f) {
    f.field("id", &Named::id).doc("Its name.").not_empty();
    f.field("from", &Named::from).doc("Others.").not_empty();
    f.field("count", &Named::count).doc("How many.").min(1);
    f.field("every", &Named::every).doc("How often.").min(1ms);
    f.field("size", &Named::size).doc("How much.");
    f.field("at", &Named::at).doc("Where.");
    f.field("places", &Named::places).doc("Named places.");
    f.check({"at"}, [](const Named& n, CheckReport<Named>& report) {
      if (n.at.x == 0) report.wrong("at", "x must not be 0");
    });
    f.check({"id"}, [](const Named& n, CheckReport<Named>& report) {
      if (report.given("id") && n.id != "a") report.wrong("id", "expected a");
    });
  }
};

std::vector<std::string> problems_of_named(std::string_view text) {
  Problems problems("p.yaml");
  auto node = parse_yaml(text, problems);
  REQUIRE(node);
  substitute(
      *node, [](std::string_view) { return std::nullopt; }, problems);
  Named named;
  bool good = declaration_of<Named>()->read(*node, named, "", problems);
  CHECK(good == problems.empty());
  std::vector<std::string> texts;
  for (const Problem& p : problems.in_order()) texts.push_back(p.text());
  return texts;
}

}  // namespace

TEST_CASE("an empty text where something must stand is refused at its place") {
  CHECK(problems_of_named("id: ''\nat: 1\nfrom: [a, '']\nplaces: {'': 3}\n") ==
        std::vector<std::string>{"p.yaml:1:5: 'id': expected a text that is not empty, got ''",
                                 "p.yaml:3:11: 'from': expected a text that is not empty, got ''",
                                 "p.yaml:4:10: 'places': a name may not be empty"});
}

TEST_CASE("a variable without a value is one mistake, whatever was to be read from it") {
  for (const char* line :
       {"id: ${NONE}", "id: x${NONE}", "from: [a, '${NONE}']", "count: ${NONE}", "every: ${NONE}", "size: ${NONE}",
        "places: {home: '${NONE}'}", "id: ${file:/nowhere/at/all}", "id: ${cred:none}", "id: ${NO NAME}", "id: '${NONE'"}) {
    INFO(line);
    CHECK(problems_of_named(std::string(line) + "\nat: 1").size() == 1);
  }
  for (const char* line : {"at: ${NONE}", "at: {x: '${NONE}'}"}) {
    INFO(line);
    CHECK(problems_of_named(line).size() == 1);
  }
}
