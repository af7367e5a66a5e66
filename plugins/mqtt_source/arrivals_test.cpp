#include "plugins/mqtt_source/arrivals.h"

#include <catch2/catch.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace millrace;
using mqtt_source::Arrival;
using mqtt_source::Arrivals;

std::vector<std::string> take_all(Arrivals& queue, std::size_t count = 1000, std::size_t bytes = 1 << 20) {
  std::vector<std::string> taken;
  queue.take(count, bytes, [&](const Arrival& a) { taken.push_back(std::string(a.topic) + ":" + std::string(a.payload)); });
  return taken;
}

TEST_CASE("messages come out in order, with their time and flags") {
  Arrivals queue(4096);
  CHECK(queue.push({"a", "1", Time{5s}}));
  CHECK(queue.push({"b", "", Time{6s}, 2}));
  std::vector<std::pair<Time, int>> taken;
  CHECK(queue.take(10, 1000, [&](const Arrival& a) { taken.emplace_back(a.time, a.flags); }) == 2);
  CHECK(taken == std::vector<std::pair<Time, int>>{{Time{5s}, 0}, {Time{6s}, 2}});
  CHECK(take_all(queue).empty());
  CHECK(queue.used() == 0);
}

TEST_CASE("what does not fit is refused, and fits again when there is room") {
  Arrivals queue(4096);
  std::string big(1000, 'x');
  int kept = 0;
  while (queue.push({"t", big, Time{}})) ++kept;
  CHECK(kept == 4);  // 1024 bytes each, with what belongs to an entry
  CHECK(take_all(queue, 1).size() == 1);
  CHECK(queue.push({"t", big, Time{}}));
  CHECK_FALSE(queue.push({"t", std::string(5000, 'x'), Time{}}));
}

TEST_CASE("a take is bounded in messages and in bytes") {
  Arrivals queue(1 << 16);
  for (int i = 0; i < 100; ++i) REQUIRE(queue.push({"t", "0123456789", Time{}}));
  CHECK(take_all(queue, 7).size() == 7);
  CHECK(take_all(queue, 100, 25).size() == 3);
  CHECK(take_all(queue).size() == 90);
}

TEST_CASE("a take goes no further than a moment") {
  Arrivals queue(4096);
  for (int second = 1; second <= 3; ++second) REQUIRE(queue.push({"t", std::to_string(second), Time{Duration(1s) * second}}));
  std::string taken;
  auto take = [&](const Arrival& a) { taken += a.payload; };
  CHECK(queue.take(10, 1000, take, Time{2s}) == 2);
  CHECK(taken == "12");
  CHECK(queue.take(10, 1000, take, Time{2s}) == 0);
  CHECK(queue.take(10, 1000, take) == 1);
}

TEST_CASE("entries of all sizes survive the edge of the ring") {
  Arrivals queue(4096);
  for (std::size_t i = 0; i < 5000; ++i) {
    std::string payload(i * 37 % 900, static_cast<char>('a' + i % 26));
    REQUIRE(queue.push({"topic", payload, Time{}}));
    REQUIRE(take_all(queue) == std::vector<std::string>{"topic:" + payload});
  }
}

TEST_CASE("a pusher and a taker on two threads lose and reorder nothing") {
  constexpr int messages = 200'000;
  Arrivals queue(4096);
  std::jthread pusher([&] {
    for (int i = 0; i < messages;) i += queue.push({"t", std::to_string(i), Time{}}) ? 1 : 0;
  });
  int next = 0;
  bool in_order = true;
  while (next < messages)
    queue.take(64, 1 << 20, [&](const Arrival& a) { in_order = in_order && a.payload == std::to_string(next++); });
  CHECK(in_order);
}

}  // namespace
