#include "runner/stage/ack.h"

#include <catch2/catch.hpp>
#include <vector>

using namespace millrace;

namespace {
struct Told {
  std::vector<Settlement> calls;
  Ack ack() {
    return Ack([this](Settlement s) { calls.push_back(s); });
  }
};
}  // namespace

TEST_CASE("a source hears once, when the last branch has settled") {
  Told told;
  Ack a = told.ack();
  Ack b = a;
  a.settle();
  CHECK(told.calls.empty());
  b.settle();
  CHECK(told.calls == std::vector{Settlement::settled});
}

TEST_CASE("one branch let go unsettled refuses the whole batch") {
  Told told;
  {
    Ack a = told.ack();
    { Ack dropped = a; }
    a.settle();
  }
  CHECK(told.calls == std::vector{Settlement::refused});
}

TEST_CASE("a moved Ack leaves no duty behind") {
  Told told;
  Ack a = told.ack();
  Ack b = std::move(a);
  a.refuse();
  CHECK(told.calls.empty());
  b.settle();
  CHECK(told.calls == std::vector{Settlement::settled});
}

TEST_CASE("a joined Ack settles both inputs, or refuses both") {
  Told one, two;
  Ack a = one.ack();
  a.join(two.ack());
  SECTION("settled") {
    a.settle();
    CHECK(one.calls == std::vector{Settlement::settled});
    CHECK(two.calls == std::vector{Settlement::settled});
  }
  SECTION("refused") {
    a = Ack{};
    CHECK(one.calls == std::vector{Settlement::refused});
    CHECK(two.calls == std::vector{Settlement::refused});
  }
}
