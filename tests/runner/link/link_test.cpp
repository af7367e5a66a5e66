#include "runner/link/link.h"

#include <catch2/catch.hpp>
#include <thread>

#include "runner/link/poller.h"

using namespace millrace;
using namespace millrace::link;

namespace {

Envelope numbered(int n, Ack ack = {}) {
  auto batch = std::make_shared<Batch>();
  batch->append().fields.push(batch->arena(), "n", Value::integer(n));
  return {std::move(batch), false, std::move(ack)};
}

std::int64_t number_of(const Envelope& envelope) { return envelope.batch->records[0].fields[0].value.as_integer(); }

}  // namespace

TEST_CASE("between two threads every batch arrives once, in order, and the sender's queue stays within its credit") {
  Link link(Link::Ends::two_threads, {}, Overflow::block);
  constexpr int count = 20'000;
  std::jthread sender([&] {
    Poller poller;
    poller.watch_sender(link);
    for (int i = 0; i < count; ++i) {
      link.send(numbered(i));
      while (!link.empty()) {
        if (!link.pump()) poller.wait(std::nullopt);
      }
    }
  });
  Poller poller;
  poller.watch_receiver(link);
  int next = 0;
  while (next < count) {
    auto envelope = link.receive();
    if (!envelope) {
      poller.wait(std::nullopt);
      continue;
    }
    REQUIRE(number_of(*envelope) == next);
    ++next;
  }
  CHECK_FALSE(link.receive());
}

TEST_CASE("a receiver that does not take leaves the batches at the sender") {
  Link link(Link::Ends::two_threads, {.records = 10}, Overflow::block);
  for (int i = 0; i < 30; ++i) link.send(numbered(i));
  CHECK(link.full());
  std::deque<Envelope> left = link.drain();
  REQUIRE(left.size() == 30);
  for (int i = 0; i < 30; ++i) CHECK(number_of(left[static_cast<std::size_t>(i)]) == i);
}

TEST_CASE("what is on its way when a link ends is refused") {
  int refused = 0;
  for (Link::Ends ends : {Link::Ends::one_thread, Link::Ends::two_threads}) {
    Link link(ends, {}, Overflow::block);
    for (int i = 0; i < 12; ++i)
      link.send(numbered(i, Ack([&](Settlement s) { refused += s == Settlement::refused ? 1 : 0; })));
  }
  CHECK(refused == 24);
}

TEST_CASE("a wake before the wait, and one during it, both end it") {
  Poller poller;
  poller.wake();
  poller.wait(std::nullopt);
  std::jthread other([&] { poller.wake(); });
  poller.wait(std::nullopt);
  SUCCEED("neither wait lasted");
}
