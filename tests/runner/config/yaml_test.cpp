#include "runner/config/yaml.h"

#include <catch2/catch.hpp>

using namespace millrace::config;

namespace {

std::vector<std::string> problems_of(std::string_view text, YamlLimits limits = {}) {
  Problems problems("p.yaml");
  parse_yaml(text, problems, limits);
  std::vector<std::string> texts;
  for (const Problem& p : problems.list()) texts.push_back(p.text());
  return texts;
}

}  // namespace

TEST_CASE("nodes know their place") {
  Problems problems("p.yaml");
  auto root = parse_yaml("name: x\nstages:\n  - id: a\n    qos: 1\n", problems);
  REQUIRE(root);
  const Node* stages = root->find("stages");
  REQUIRE(stages);
  const Node* qos = stages->items[0].find("qos");
  REQUIRE(qos);
  CHECK(qos->position.line == 4);
  CHECK(qos->position.column == 10);
  CHECK(stages->items[0].entries[1].position.column == 5);
}

TEST_CASE("columns are counted in characters, as editors count them") {
  CHECK(problems_of("{a: \"ü漢😀\", a: 1}\n") == std::vector<std::string>{"p.yaml:1:12: duplicate key 'a', first at line 1"});
  CHECK(problems_of("\xEF\xBB\xBF{a: 1, a: 1}\n") ==
        std::vector<std::string>{"p.yaml:1:8: duplicate key 'a', first at line 1"});
  CHECK(problems_of("b: ü\nm: {ä: \"hot}\n") ==
        std::vector<std::string>{"p.yaml:2:8: not valid YAML: the quote that opens here is not closed"});
}

TEST_CASE("every duplicate key is named, with the first one's line") {
  CHECK(problems_of("a: 1\nb: 2\na: 3\nb: 4\n") == std::vector<std::string>{"p.yaml:3:1: duplicate key 'a', first at line 1",
                                                                            "p.yaml:4:1: duplicate key 'b', first at line 2"});
}

TEST_CASE("broken YAML names the place") {
  auto texts = problems_of("a: [1, 2\nb: 3\n");
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("p.yaml:2:"));
}

TEST_CASE("what breaks YAML most often is told with its remedy") {
  auto only = [](std::string_view text) {
    auto texts = problems_of(text);
    REQUIRE(texts.size() == 1);
    return texts[0];
  };
  const std::string tab = "a tab cannot indent; use spaces";
  CHECK(only("s:\n\t- id: a\n") == "p.yaml:2:2: not valid YAML: " + tab);
  CHECK(only("s:\n  - id: a\n\tplugin: x\n") == "p.yaml:3:1: not valid YAML: " + tab);

  const std::string uneven = "this line is indented unlike those above that it belongs to";
  CHECK(only("s:\n  - id: a\n   plugin: x\n") == "p.yaml:3:4: not valid YAML: " + uneven);
  CHECK(only("s:\n  - id: a\n  plugin: x\n") == "p.yaml:3:3: not valid YAML: " + uneven);

  CHECK(only("m: {key}: hot\n")
            .ends_with("put quotes around a text that holds ': ' or begins with '{', and indent alike what belongs together"));
  CHECK(only("m: up: hot\n")
            .ends_with("put quotes around a text that holds ': ' or begins with '{', and indent alike what belongs together"));
  CHECK(
      only("s:\n  - {id: a, plugin: x\n").ends_with("a '{' is not closed, or a text in it that holds '{' or '}' wants quotes"));
  CHECK(only("t: [a/{device}/#]\n").ends_with("a '[' is not closed, or a text in it that holds one of []{}# wants quotes"));
  CHECK(only("t: @x\n").ends_with("a text that begins so wants quotes"));
  CHECK(only("t: *\n").ends_with("a text that begins so wants quotes"));
}

TEST_CASE("a quote that is not closed is told where it opens") {
  const std::string open = "the quote that opens here is not closed";
  CHECK(problems_of("a: 1\nm: \"hot\nb: 2\n") == std::vector<std::string>{"p.yaml:2:4: not valid YAML: " + open});
  CHECK(problems_of("t:\n  - 'x'\n  - {k: 'hot}\nb: it is 2\n") ==
        std::vector<std::string>{"p.yaml:3:9: not valid YAML: " + open});
  CHECK(problems_of("a: \"well\"\nb: 'don''t'\nc: \"it's \\\" \n  d: 1\n") ==
        std::vector<std::string>{"p.yaml:3:4: not valid YAML: " + open});
  CHECK(problems_of("a: \"well\"\nb: 'don''t'\nc: 'it''s\n  d: 1\n\n") ==
        std::vector<std::string>{"p.yaml:3:4: not valid YAML: " + open});
  CHECK(problems_of("a: 'x\n'\n").empty());
  CHECK(problems_of("a: 'don''t'").empty());
  CHECK(problems_of("a: \"b\\\"c\"").empty());
  CHECK(problems_of("a: \"well\"\nb: 'don''t'\nc: \"it's \\\" \n  d: 1") ==
        std::vector<std::string>{"p.yaml:3:4: not valid YAML: " + open});
}

TEST_CASE("a quote that takes the next one's for its end is told where it opens") {
  const std::string missing = "where more follows: is its closing quote missing?";
  auto only = [](std::string_view text) {
    auto texts = problems_of(text);
    REQUIRE(texts.size() == 1);
    return texts[0];
  };
  const std::string begun = ": not valid YAML: the text in quotes that begins here ends in line ";
  CHECK(only("r:\n  m: \"{key}: hot\n  s: warning\n  n: \"cold\"\n") == "p.yaml:2:6" + begun + "4, " + missing);
  CHECK(only("r:\n  - 'hot\n  - 'cold'\n") == "p.yaml:2:5" + begun + "3, " + missing);
  CHECK(only("r: {m: 'hot,\n  n: 'cold'}\n") == "p.yaml:1:8" + begun + "2, " + missing);
  // Over lines, closed and followed by another mistake.
  CHECK(only("r:\n  m: 'hot\n    and dry'\n   n: 1\n").starts_with("p.yaml:4:"));
  CHECK(only("r:\n  m: 'hot'\n   n: 1\n").starts_with("p.yaml:3:"));
}

TEST_CASE("an alias stands at its own place, with the anchor's content") {
  Problems problems("p.yaml");
  auto root = parse_yaml("a: &x {k: 1}\nb: *x\n", problems);
  REQUIRE(root);
  CHECK(root->find("b")->find("k")->text == "1");
  CHECK(root->find("b")->position.line == 2);
}

TEST_CASE("an alias bomb is refused by the nodes that it would expand to") {
  std::string text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'j'; ++c) {
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 10; ++i) text += std::string(i ? "," : "") + "*" + static_cast<char>(c - 1);
    text += "]\n";
  }
  auto texts = problems_of(text);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].find("more than 100000 nodes") != std::string::npos);
}

TEST_CASE("depth is limited, through aliases too") {
  CHECK(problems_of("a: {b: {c: {d: 1}}}\n", {.depth = 3}).size() == 1);
  CHECK(problems_of("a: {b: {c: 1}}\n", {.depth = 3}).empty());
  CHECK(problems_of("x: &x {y: {z: 1}}\na: {b: *x}\n", {.depth = 3}).size() == 1);
}

TEST_CASE("ten megabytes of brackets are refused at once") {
  auto texts = problems_of(std::string(10'000'000, '['));
  REQUIRE(texts.size() == 1);
  CHECK(texts[0] == "p.yaml:1:1: the file is larger than 1000000 bytes");
  auto within_size = problems_of(std::string(900'000, '['));
  CHECK(within_size.size() == 1);
}

TEST_CASE("bytes that are no UTF-8 are refused where they stand") {
  CHECK(problems_of("name: a\nother: \"\xC3\xA4\xFF\"\n") ==
        std::vector<std::string>{"p.yaml:2:10: not UTF-8: a YAML file is text, and this byte is none"});
  CHECK(problems_of("\xEF\xBB\xBFname: a\n").empty());
  CHECK(problems_of(std::string("\xFF\xFEn\0", 4)).size() == 1);
}

TEST_CASE("a key that a merge brought may be said again once, and among many keys each is found") {
  CHECK(problems_of("base: &b {k: 1}\nuse:\n  <<: *b\n  k: 2\n  k: 3\n") ==
        std::vector<std::string>{"p.yaml:5:3: duplicate key 'k', first at line 4"});
  std::string many;
  for (int i = 0; i < 40'000; ++i) many += "k" + std::to_string(i) + ": 1\n";
  CHECK(problems_of(many + "k39999: 2\n") ==
        std::vector<std::string>{"p.yaml:40001:1: duplicate key 'k39999', first at line 40000"});
}

TEST_CASE("a merge key fills in what a map does not say itself") {
  Problems problems("p.yaml");
  auto root = parse_yaml("base: &b {k: 1, l: 2}\nuse:\n  <<: *b\n  k: 9\n", problems);
  REQUIRE(root);
  CHECK(problems.empty());
  CHECK(root->find("use")->find("k")->text == "9");
  CHECK(root->find("use")->find("l")->text == "2");
}

TEST_CASE("variables are replaced after parsing, so that a value cannot change the structure") {
  Problems problems("p.yaml");
  auto root = parse_yaml("a: ${EVIL}\nb: ${UNSET:-fallback}\nc: $${KEPT}\nd: \"${EVIL} and ${UNSET:-more}\"\n", problems);
  REQUIRE(root);
  Environment environment = [](std::string_view name) -> std::optional<std::string> {
    return name == "EVIL" ? std::optional<std::string>("x\nb: {y: 1}") : std::nullopt;
  };
  substitute(*root, environment, problems);
  CHECK(problems.empty());
  CHECK(root->find("a")->text == "x\nb: {y: 1}");
  CHECK(root->find("b")->text == "fallback");
  CHECK(root->find("c")->text == "${KEPT}");
  CHECK(root->find("d")->text == "x\nb: {y: 1} and more");
}

TEST_CASE("a variable that is not set, or not a variable, is a problem at its place") {
  Problems problems("p.yaml");
  auto root = parse_yaml("a: 1\nb: ${NOPE}\nc: ${not ok}\nd: ${open\n", problems);
  REQUIRE(root);
  substitute(
      *root, [](std::string_view) { return std::nullopt; }, problems);
  REQUIRE(problems.size() == 3);
  CHECK(problems.list()[0].text() == "p.yaml:2:4: the variable NOPE is not set; '${NOPE:-...}' gives a default");
}
