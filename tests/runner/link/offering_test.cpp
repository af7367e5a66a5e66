#include "runner/link/offering.h"

#include <catch2/catch.hpp>

using namespace millrace;
using namespace millrace::link;
using namespace std::chrono_literals;

namespace {

/// An offering with everything that it sends, and the fate of every batch.
struct Writer {
  struct Said {
    std::string peer;
    wire::Message message;
    std::string payload;  ///< of a Numbered, which only points to it
  };

  std::vector<Said> said;
  std::vector<std::pair<int, Settlement>> fates;
  bool deaf = false;
  int changes = 0;
  Offering::Moment now{1000s};
  Offering offering{7,
                    {[this](std::string_view peer, const wire::Message& message) {
                       if (deaf) return false;
                       Said one{std::string(peer), message, {}};
                       if (auto* numbered = std::get_if<wire::Numbered>(&message)) one.payload = numbered->payload;
                       said.push_back(std::move(one));
                       return true;
                     },
                     [this] { ++changes; }}};

  void add(int n) {
    offering.add("batch " + std::to_string(n), Ack([this, n](Settlement how) { fates.emplace_back(n, how); }));
  }
  void hear(std::string_view peer, const wire::Message& message) { offering.receive(peer, message, now); }
  void turn() { offering.turn(now); }
  void greet(std::string_view peer = "r", const std::string& reader = "p/in", std::uint64_t session = 1) {
    hear(peer, wire::Hello{reader, session});
  }
  std::vector<std::uint64_t> sent() {
    std::vector<std::uint64_t> numbers;
    for (const Said& one : said)
      if (auto* numbered = std::get_if<wire::Numbered>(&one.message)) numbers.push_back(numbered->number);
    said.clear();
    return numbers;
  }
  template <class M>
  const M* last() const {
    for (auto one = said.rbegin(); one != said.rend(); ++one)
      if (auto* found = std::get_if<M>(&one->message)) return found;
    return nullptr;
  }
};

using Numbers = std::vector<std::uint64_t>;

}  // namespace

TEST_CASE_METHOD(Writer, "nothing is wanted before a reader is there, and nothing sent before it gives credit") {
  CHECK_FALSE(offering.wants_input());
  CHECK(offering.idle());
  greet();
  REQUIRE(last<wire::Welcome>());
  CHECK(last<wire::Welcome>()->first == 1);
  CHECK(changes == 1);
  CHECK(offering.wants_input());
  for (int n = 1; n <= 3; ++n) add(n);
  turn();
  CHECK(sent().empty());
  hear("r", wire::Credit{7, 2});
  turn();
  CHECK(sent() == Numbers{1, 2});
  hear("r", wire::Credit{7, 1});  // an older word
  turn();
  CHECK(sent().empty());
  hear("r", wire::Credit{7, 9});
  turn();
  CHECK(sent() == Numbers{3});
}

TEST_CASE_METHOD(Writer, "a batch is kept until it is settled, in whatever order, and settles what it came from once") {
  greet();
  for (int n = 1; n <= 3; ++n) add(n);
  hear("r", wire::Credit{7, 9});
  turn();
  hear("r", wire::Settled{7, {2, 2, 99}});
  CHECK(fates == std::vector<std::pair<int, Settlement>>{{2, Settlement::settled}});
  hear("r", wire::Again{7, 1});
  said.clear();
  turn();
  CHECK(sent() == Numbers{1, 3});
  CHECK_FALSE(offering.idle());
  hear("r", wire::Settled{7, {1, 2, 3}});
  CHECK(fates.size() == 3);
  CHECK(offering.idle());
}

TEST_CASE_METHOD(Writer, "a reader that has restarted gets again what is not settled; the same one goes on") {
  greet();
  for (int n = 1; n <= 3; ++n) add(n);
  hear("r", wire::Credit{7, 9});
  hear("r", wire::Settled{7, {1}});
  turn();
  said.clear();
  greet();
  CHECK(last<wire::Welcome>()->first == 2);
  turn();
  CHECK(sent().empty());
  greet("s", "p/in", 2);
  turn();
  CHECK(sent().empty());
  hear("s", wire::Credit{7, 9});
  turn();
  CHECK(sent() == Numbers{2, 3});
}

TEST_CASE_METHOD(Writer, "another reader gets the place only when the first has long been silent") {
  greet();
  now += Offering::place_kept - 1ms;
  greet("x", "q/in");
  REQUIRE(last<wire::Refusal>());
  CHECK(said.back().peer == "x");
  hear("x", wire::Credit{7, 9});
  add(1);
  turn();
  CHECK(sent().empty());
  now += 1ms;
  greet("x", "q/in");
  CHECK(last<wire::Welcome>());
  hear("x", wire::Credit{7, 9});
  turn();
  CHECK(sent() == Numbers{1});
}

TEST_CASE_METHOD(Writer, "a reader that is silent, or cannot be sent to, is no longer there") {
  greet();
  add(1);
  SECTION("silent") {
    now += Offering::place_kept;
    turn();
  }
  SECTION("deaf") {
    deaf = true;
    now += Offering::pulse;
    turn();
  }
  CHECK_FALSE(offering.wants_input());
  CHECK(offering.idle());
  deaf = false;
  hear("r", wire::Credit{7, 9});
  CHECK(offering.wants_input());
  CHECK_FALSE(offering.idle());
}

TEST_CASE_METHOD(Writer, "words of another life of the writer, and of strangers, mean nothing") {
  greet();
  add(1);
  hear("r", wire::Credit{6, 9});
  hear("stranger", wire::Credit{7, 9});
  turn();
  CHECK(sent().empty());
  hear("r", wire::Credit{7, 9});
  turn();
  hear("r", wire::Settled{6, {1}});
  hear("stranger", wire::Settled{7, {1}});
  CHECK(fates.empty());
}

TEST_CASE_METHOD(Writer, "the window is bounded in batches and in bytes") {
  greet();
  std::size_t added = 0;
  SECTION("batches") {
    while (offering.wants_input()) add(static_cast<int>(++added));
    CHECK(added == Offering::window_batches);
  }
  SECTION("bytes") {
    while (offering.wants_input()) offering.add(std::string(1U << 20U, 'x'), {}), ++added;
    CHECK(added == Offering::window_bytes >> 20U);
  }
  hear("r", wire::Settled{7, {1}});
  CHECK(offering.wants_input());
}

TEST_CASE_METHOD(Writer, "pulses say how far the reader should be, at their pace") {
  greet();
  add(1);
  hear("r", wire::Credit{7, 9});
  turn();
  REQUIRE(last<wire::Pulse>());
  CHECK(last<wire::Pulse>()->sent == 1);
  said.clear();
  turn();
  CHECK_FALSE(last<wire::Pulse>());
  now += Offering::pulse;
  turn();
  CHECK(last<wire::Pulse>());
}
