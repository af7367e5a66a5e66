#include <catch2/catch.hpp>

#include <random>

#include "plugins/signalr/scope.h"
#include "runner/http/identity.h"

using namespace millrace;
using signalr::Scope;

TEST_CASE("a scope covers what its patterns describe, and nothing else") {
  std::mt19937 random(7);
  auto text = [&](std::string_view letters) {
    std::string made;
    for (auto size = random() % 6; size > 0; --size) made += letters[random() % letters.size()];
    return made;
  };
  for (int round = 0; round < 500; ++round) {
    http::Identity who;
    for (auto count = random() % 8; count > 0; --count) who.groups.push_back(text(round % 2 == 0 ? "ab*" : "ab"));
    for (std::string& pattern : who.groups)
      if (random() % 2 == 0) pattern += '*';
    Scope scope(who.groups);
    for (int i = 0; i < 50; ++i) {
      std::string group = text("ab");
      for (int again = 0; again < 2; ++again) {
        CAPTURE(who.groups, group);
        CHECK(scope.covers(group) == who.may_join(group));
      }
    }
  }
}

TEST_CASE("a scope judges letters beyond ASCII as bytes, and a prefix of nothing covers all") {
  Scope scope({"device:ž*", "device:\xFF*"});
  CHECK(scope.covers("device:žluť"));
  CHECK(scope.covers("device:\xFF\xFF"));
  CHECK_FALSE(scope.covers("device:z"));
  CHECK_FALSE(scope.covers("device:\xFE"));
  CHECK(Scope({"*"}).covers(""));
  CHECK_FALSE(Scope({}).covers("device:a"));
}
