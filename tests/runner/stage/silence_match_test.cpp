#include "runner/stage/silence_match.h"

#include <catch2/catch.hpp>

using namespace millrace;

TEST_CASE("a pattern is of the whole text, with stars for any text and question marks for one character") {
  struct Case {
    const char* pattern;
    const char* text;
    bool matches;
  };
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"porch", "porch", true},
      {"porch", "porch-1", false},
      {"porch", "Porch", false},
      {"*", "", true},
      {"*", "anything at all", true},
      {"porch-*", "porch-1", true},
      {"porch-*", "porch-", true},
      {"porch-*", "attic-1", false},
      {"*-1", "porch-1-1", true},
      {"*-1", "porch-1-2", false},
      {"a*b*c", "a-b-b-c", true},
      {"a*b*c", "a-c-b", false},
      {"a*a", "a", false},
      {"**", "x", true},
      {"?", "", false},
      {"?", "ab", false},
      {"room ?", "room \xC3\xA9", true},
      {"??", "\xC3\xA9", false},
      {"*?", "\xC3\xA9", true},
      {"\\*", "*", true},
      {"\\*", "a", false},
      {"\\?x*", "?xyz", true},
      {"\\\\", "\\", true},
      {"a\\", "a\\", true},
      {"[a]", "a", false},
      {"[a]", "[a]", true},
  };
  for (const Case& c : cases) {
    INFO(c.pattern << " and " << c.text);
    CHECK(matches_glob(c.pattern, c.text) == c.matches);
  }
}

TEST_CASE("a pattern of many stars is worked off in bounded time") {
  std::string pattern, text(20'000, 'a');
  for (int i = 0; i < 50; ++i) pattern += "*a";
  CHECK_FALSE(matches_glob(pattern + "b", text));
  CHECK(matches_glob(pattern, text));
}

namespace {

struct Wanted {
  std::string rule, key;
  AlertLabels labels;
};

}  // namespace

TEST_CASE("a silence concerns the alerts that all of its patterns match") {
  const AlertLabels labels{{"room", "attic"}, {"site", "north"}};
  CHECK(concerns(Wanted{}, "hot", "a", labels));
  CHECK(concerns(Wanted{"h*", "?", {}}, "hot", "a", labels));
  CHECK_FALSE(concerns(Wanted{"cold", "", {}}, "hot", "a", labels));
  CHECK_FALSE(concerns(Wanted{"", "b*", {}}, "hot", "a", labels));
  CHECK(concerns(Wanted{"", "", {{"room", "at*"}, {"site", "north"}}}, "hot", "a", labels));
  CHECK_FALSE(concerns(Wanted{"", "", {{"room", "at*"}, {"site", "south"}}}, "hot", "a", labels));
  CHECK_FALSE(concerns(Wanted{"", "", {{"floor", "1"}}}, "hot", "a", labels));
  CHECK(concerns(Wanted{"", "", {{"floor", ""}}}, "hot", "a", labels));
}
