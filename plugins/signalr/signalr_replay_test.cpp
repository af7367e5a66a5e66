#include <catch2/catch.hpp>

#include <array>

#include "plugins/signalr/outgoing.h"

using namespace millrace::signalr;

namespace {

SharedFrame frame(char filling, std::size_t bytes, std::uint32_t messages = 1) {
  auto made = std::make_shared<Frame>();
  made->bytes.assign(bytes, filling);
  made->messages = messages;
  return made;
}

SharedFrame telemetry(char filling, std::size_t bytes) {
  auto made = std::make_shared<Frame>();
  made->bytes.assign(bytes, filling);
  made->messages = 1;
  made->records = 1;
  made->series = {0};
  return made;
}

std::string next(const Outgoing& queue) {
  std::array<std::string_view, 16> pieces;
  std::string text;
  for (std::size_t i = 0, count = queue.front(pieces); i < count; ++i) text += pieces[i];
  return text;
}

/// A queue that numbers, with room for so many unacknowledged bytes.
Outgoing numbering(std::size_t replay, std::size_t limit = 100) {
  Outgoing queue(limit, SlowClient::newest);
  queue.number(replay);
  return queue;
}

}  // namespace

TEST_CASE("what has gone out is kept until it is acknowledged, and goes out again behind a sequence") {
  Outgoing queue = numbering(100);
  for (char c : {'a', 'b', 'c'}) queue.push(frame(c, 2));
  queue.push(frame('p', 1, 0));
  CHECK(next(queue) == "paabbcc");
  queue.sent(6);  // half of c
  CHECK(queue.replay()->acknowledge(1));
  CHECK(queue.replay()->bytes() == 4);
  queue.cut();
  CHECK(queue.empty());
  queue.push(frame('d', 2));
  CHECK(queue.replay()->first() == 2);
  queue.replay()->begin(frame('S', 1, 0));
  CHECK(next(queue) == "Sbbcc");
  queue.sent(2);
  CHECK(next(queue) == "bcc");
  queue.sent(3);
  CHECK(next(queue) == "dd");
  queue.sent(2);
  CHECK(queue.empty());
  CHECK(queue.replay()->acknowledge(4));
  CHECK(queue.replay()->bytes() == 0);
  CHECK(queue.replay()->first() == 5);
}

TEST_CASE("a second cut in the middle of going out again starts over") {
  Outgoing queue = numbering(100);
  for (char c : {'a', 'b'}) queue.push(frame(c, 2));
  queue.sent(4);
  queue.cut();
  queue.replay()->begin(frame('S', 1, 0));
  queue.sent(2);
  CHECK(queue.replay()->acknowledge(1));  // may come before all is out again
  queue.cut();
  queue.replay()->begin(frame('S', 1, 0));
  CHECK(queue.replay()->first() == 1);
  CHECK(next(queue) == "Saabb");
}

TEST_CASE("an acknowledgement does not tear a hole into what goes out again") {
  Outgoing queue = numbering(100);
  for (char c : {'a', 'b', 'c'}) queue.push(frame(c, 2));
  queue.sent(6);
  queue.cut();
  queue.replay()->begin(frame('S', 1, 0));
  queue.sent(3);  // the sequence and a
  CHECK(queue.replay()->acknowledge(2));
  CHECK(next(queue) == "bbcc");
  queue.sent(4);
  CHECK(queue.replay()->acknowledge(3));
  CHECK(queue.replay()->bytes() == 0);
}

TEST_CASE("too much unacknowledged holds numbered frames back, and lets the others pass") {
  Outgoing queue = numbering(4);
  for (char c : {'a', 'b', 'c'}) queue.push(frame(c, 3));
  CHECK(next(queue) == "aaabbb");  // the last one that begins within the limit
  queue.sent(6);
  CHECK(queue.paused());
  CHECK(next(queue).empty());
  CHECK_FALSE(queue.empty());
  queue.push(frame('p', 1, 0));
  queue.push(frame('q', 1, 0));
  CHECK(next(queue) == "pq");
  queue.sent(2);
  CHECK(queue.replay()->acknowledge(2));
  CHECK(next(queue) == "ccc");
}

TEST_CASE("telemetry that waits is conflated before it is numbered") {
  Outgoing queue = numbering(4, 10);
  queue.push(telemetry('a', 5));
  queue.sent(5);
  queue.push(telemetry('b', 6));
  CHECK(queue.push(telemetry('c', 6)).conflated == 1);
  CHECK(queue.push(frame('e', 6)).conflated == 1);  // an alert takes b's place
  CHECK(queue.replay()->acknowledge(1));
  CHECK(next(queue) == "eeeeee");
  queue.sent(6);
  CHECK(queue.replay()->first() == 2);
  CHECK_FALSE(queue.replay()->acknowledge(3));
  CHECK(queue.replay()->acknowledge(2));
}

TEST_CASE("a frame of several messages is acknowledged with its last") {
  Outgoing queue = numbering(100);
  queue.push(frame('a', 2, 3));
  queue.push(frame('b', 2));
  queue.sent(4);
  CHECK(queue.replay()->acknowledge(2));
  CHECK(queue.replay()->first() == 1);
  CHECK(queue.replay()->acknowledge(3));
  CHECK(queue.replay()->first() == 4);
}

TEST_CASE("unread pings are bounded though they pass") {
  Outgoing queue = numbering(1, 100);
  int taken = 0;
  while (!queue.push(frame('p', 100, 0)).full) REQUIRE(++taken < 1000);
  CHECK(taken > 1);
}

TEST_CASE("a client's messages are counted, and repeated ones are not fresh") {
  Receipts receipts;
  CHECK_FALSE(receipts.due());
  CHECK(receipts.fresh());
  CHECK(receipts.fresh());
  CHECK(receipts.due() == 2);
  CHECK_FALSE(receipts.due());
  receipts.cut();
  CHECK_FALSE(receipts.fresh());  // before the sequence nothing counts
  CHECK_FALSE(receipts.sequence(4));
  CHECK_FALSE(receipts.sequence(0));
  CHECK(receipts.sequence(2));
  CHECK_FALSE(receipts.fresh());
  CHECK(receipts.due() == 2);  // said again: the first acknowledgement was lost
  CHECK(receipts.fresh());
  CHECK(receipts.due() == 3);
  CHECK(receipts.sequence(4));
  CHECK(receipts.fresh());
}

TEST_CASE("last words wait for no acknowledgement, nor does what stands before them") {
  Outgoing queue = numbering(4);
  for (char c : {'a', 'b', 'c'}) queue.push(frame(c, 3));
  queue.sent(3);
  queue.push_last(frame('C', 2, 0));
  queue.push_last(frame('X', 1, 0));
  CHECK(next(queue) == "bbbcccCCX");
  CHECK_FALSE(queue.paused());
  queue.sent(9);
  CHECK(queue.empty());
}

TEST_CASE("last words that a cut has kept from going out are not for the next connection") {
  Outgoing queue = numbering(100);
  for (char c : {'a', 'b', 'c'}) queue.push(frame(c, 2));
  queue.push_last(frame('X', 3, 0));
  queue.sent(3);
  queue.cut();
  queue.replay()->begin(frame('S', 1, 0));
  CHECK(next(queue) == "Saabb");
  queue.sent(5);
  CHECK(next(queue) == "cc");
  queue.sent(2);
  CHECK(queue.empty());
  CHECK(queue.bytes() == 0);
  SECTION("half of them were out") {
    queue.push_last(frame('X', 3, 0));
    queue.sent(1);
    queue.cut();
    CHECK(queue.bytes() == 0);
    queue.push(frame('d', 2));
    queue.replay()->begin(frame('S', 1, 0));
    CHECK(next(queue) == "Saabbcc");
  }
}
