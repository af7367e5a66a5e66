#include <catch2/catch.hpp>

#include "plugins/signalr/streams.h"

using namespace millrace::signalr;
using nlohmann::json;

TEST_CASE("a stream to a client is cancelled once, by its id, or with the client") {
  Streams streams;
  auto one = streams.begin("1"), two = streams.begin("2");
  REQUIRE((one && two));
  CHECK_FALSE(streams.begin("1"));  // in use
  int told = 0;
  one->then = two->then = [&] { ++told; };
  CHECK(streams.cancel("1"));
  CHECK_FALSE(streams.cancel("1"));
  CHECK_FALSE(streams.cancel("unknown"));
  CHECK(one->requested);
  CHECK(told == 1);
  streams.end("2");
  streams.abandon();
  CHECK(told == 1);
  CHECK_FALSE(two->requested);
  auto three = streams.begin("1");
  streams.abandon();
  CHECK(three->requested);
}

TEST_CASE("a client's stream gives its items, then its end, and nothing after") {
  Streams streams;
  std::string seen;
  auto upload = [&] {
    return Upload{.item = [&](const json& item) { seen += item.dump() + ";"; },
                  .end = [&](const std::optional<std::string>& error) { seen += error.value_or("end") + ";"; }};
  };
  REQUIRE(streams.receive("1", upload()));
  CHECK_FALSE(streams.receive("1", upload()));
  REQUIRE(streams.receive("2", upload()));
  streams.item("1", 5);
  streams.item("3", 6);
  streams.complete("1", nullptr, std::nullopt);
  streams.item("1", 7);
  streams.complete("2", nullptr, "broken");
  streams.complete("2", nullptr, "again");
  REQUIRE(streams.receive("4", upload()));
  streams.abandon();
  CHECK(seen == "5;end;broken;The client has gone.;");
}

TEST_CASE("a call of the client is answered once, or when the client goes") {
  Streams streams;
  std::vector<std::string> answers;
  auto answered = [&](const ClientResult& result) { answers.push_back(result.error.value_or(result.value.dump())); };
  auto first = streams.expect(answered), second = streams.expect(answered);
  REQUIRE((first && second));
  CHECK(*first != *second);
  streams.complete(*first, 5, std::nullopt);
  streams.complete(*first, 6, std::nullopt);
  streams.complete(*second, nullptr, "no");
  streams.expect(answered);
  streams.abandon();
  CHECK(answers == std::vector<std::string>{"5", "no", "The client has gone."});
}

TEST_CASE("a client has so many streams and unanswered calls at a time") {
  Streams streams;
  for (std::size_t i = 0; i < Streams::most; ++i) {
    REQUIRE(streams.begin(std::to_string(i)));
    REQUIRE(streams.receive(std::to_string(i), {}));
    REQUIRE(streams.expect([](const ClientResult&) {}));
  }
  CHECK_FALSE(streams.begin("more"));
  CHECK_FALSE(streams.receive("more", {}));
  CHECK_FALSE(streams.expect([](const ClientResult&) {}));
  streams.end("0");
  CHECK(streams.begin("more"));
}

TEST_CASE("who waits for an empty queue is called once, and may wait again") {
  Streams streams;
  int calls = 0;
  std::function<void()> wait = [&] {
    ++calls;
    streams.when_drained(wait);
  };
  streams.when_drained(wait);
  streams.drained();
  CHECK(calls == 1);
  streams.drained();
  CHECK(calls == 2);
  streams.abandon();
  streams.drained();
  CHECK(calls == 2);
}
