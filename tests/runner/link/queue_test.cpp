#include <catch2/catch.hpp>
#include <deque>
#include <string>

#include "runner/link/link.h"

using namespace millrace;
using namespace millrace::link;

namespace {

/// Counts how batches ended.
struct Fates {
  int settled = 0, refused = 0;
  Ack ack() {
    return Ack([this](Settlement s) { ++(s == Settlement::settled ? settled : refused); });
  }
};

Envelope batch_of(std::initializer_list<std::pair<std::string_view, int>> readings, Ack ack = {},
                  std::string_view kind = kind::telemetry) {
  auto batch = std::make_shared<Batch>();
  for (auto [device, value] : readings) {
    Record& r = batch->append();
    r.device = batch->arena().copy(device);
    r.kind = kind;
    r.fields.push(batch->arena(), "v", Value::integer(value));
  }
  return {std::move(batch), false, std::move(ack)};
}

std::string contents(Queue& queue) {
  std::string text;
  while (!queue.empty()) {
    Envelope envelope = std::move(queue.pop().value());
    if (!envelope.batch) text += "end";
    if (envelope.batch)
      for (const Record& r : envelope.batch->records)
        text += std::string(r.device) + std::to_string(r.fields[0].value.as_integer()) + " ";
    envelope.ack.settle();
  }
  return text;
}

/// A spool in memory, with room for so many batches.
struct Shelf final : Spool {
  std::size_t room = 100;
  std::deque<std::shared_ptr<Batch>> kept;
  bool put(const Batch& batch) override {
    if (kept.size() >= room) return false;
    kept.push_back(std::make_shared<Batch>(batch.copy()));
    return true;
  }
  std::optional<Envelope> take() override {
    if (kept.empty()) return std::nullopt;
    Envelope first;
    first.batch = std::move(kept.front());
    first.spooled = true;
    kept.pop_front();
    return first;
  }
  bool empty() override { return kept.empty(); }
  void watch(Waker) override {}
};

struct Fixture {
  Counters counters;
  Counter oldest, newest, conflated;
  Fates fates;
  Fixture() {
    counters.dropped_oldest = &oldest;
    counters.dropped_newest = &newest;
    counters.conflated = &conflated;
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a blocking queue says that it is full, and takes what was made already") {
  Queue queue({.records = 3}, Overflow::block, counters);
  queue.push(batch_of({{"a", 1}, {"a", 2}}));
  CHECK_FALSE(queue.full());
  queue.push(batch_of({{"a", 3}, {"a", 4}}));
  CHECK(queue.full());
  CHECK(counters.depth_records.value() == 4);
  queue.pop();
  CHECK_FALSE(queue.full());
}

TEST_CASE_METHOD(Fixture, "drop_oldest drops whole batches from the front, counts their records and settles them") {
  Queue queue({.records = 3}, Overflow::drop_oldest, counters);
  for (int i = 0; i < 5; ++i) queue.push(batch_of({{"a", i}}, fates.ack()));
  CHECK(oldest.value() == 2);
  CHECK(fates.settled == 2);
  CHECK_FALSE(queue.full());
  CHECK(contents(queue) == "a2 a3 a4 ");
}

TEST_CASE_METHOD(Fixture,
                 "drop_newest drops what comes, counts it and settles it; a batch larger than the queue still passes") {
  Queue queue({.records = 3}, Overflow::drop_newest, counters);
  queue.push(batch_of({{"a", 1}, {"a", 2}, {"a", 3}, {"a", 4}}, fates.ack()));
  queue.push(batch_of({{"a", 5}}, fates.ack()));
  CHECK(newest.value() == 1);
  CHECK(fates.settled == 1);
  CHECK(contents(queue) == "a1 a2 a3 a4 ");
}

TEST_CASE_METHOD(Fixture, "newest keeps the last of each series and every alert") {
  Queue queue({.records = 4}, Overflow::newest, counters);
  queue.push(batch_of({{"a", 1}, {"b", 1}}, fates.ack()));
  queue.push(batch_of({{"x", 9}}, fates.ack(), kind::alert));
  queue.push(batch_of({{"a", 2}}, fates.ack()));
  queue.push(batch_of({{"a", 3}, {"x", 10}}, fates.ack()));
  CHECK(contents(queue) == "b1 x9 a3 x10 ");
  CHECK(conflated.value() == 2);
  CHECK(fates.settled == 4);
  CHECK(fates.refused == 0);
}

TEST_CASE_METHOD(Fixture, "newest does not go through the queue for every batch where the newest alone nearly fill it") {
  constexpr std::size_t limit = 80;
  Queue queue({.records = limit}, Overflow::newest, counters);
  auto push = [&](int series, int value) { queue.push(batch_of({{std::string(1, static_cast<char>('0' + series)), value}})); };
  for (int series = 0; series < static_cast<int>(limit); ++series) push(series, 0);
  int times = 0;
  std::uint64_t before = 0;
  for (int i = 1; i <= 2000; ++i) {
    push(i % static_cast<int>(limit), i);
    times += conflated.value() != before ? 1 : 0;
    before = conflated.value();
    CHECK(counters.depth_records.value() <= limit + limit / 4 + 1);
    CHECK_FALSE(queue.full());
  }
  CHECK(times <= 2000 / static_cast<int>(limit / 4) + 1);
}

TEST_CASE_METHOD(Fixture, "newest blocks when alerts alone fill it") {
  Queue queue({.records = 2}, Overflow::newest, counters);
  for (int i = 0; i < 3; ++i) queue.push(batch_of({{"x", i}}, {}, kind::alert));
  CHECK(queue.full());
  CHECK(contents(queue) == "x0 x1 x2 ");
}

TEST_CASE_METHOD(Fixture, "bytes limit a queue as records do") {
  Queue queue({.records = 1000, .bytes = 3000}, Overflow::block, counters);
  auto large = batch_of({{"a", 1}});
  large.batch->records[0].device = large.batch->arena().copy(std::string(4000, 'x'));
  queue.push(std::move(large));
  CHECK(queue.full());
}

TEST_CASE_METHOD(Fixture, "the end of input is never dropped") {
  Queue queue({.records = 1}, Overflow::drop_oldest, counters);
  queue.push(batch_of({{"a", 1}}));
  queue.push({});
  queue.push({});
  CHECK(contents(queue) == "a1 endend");
}

TEST_CASE_METHOD(Fixture, "a spooling queue settles what is on disk, keeps the order, and blocks when the disk is full, too") {
  auto made = std::make_unique<Shelf>();
  Shelf& shelf = *made;
  Queue queue({.records = 3}, Overflow::spool, counters, std::move(made));
  for (int i = 0; i < 3; ++i) queue.push(batch_of({{"a", i}}, fates.ack()));
  CHECK(shelf.kept.empty());
  queue.push(batch_of({{"a", 3}}, fates.ack()));
  CHECK(shelf.kept.size() == 4);
  CHECK(fates.settled == 4);
  CHECK_FALSE(queue.full());
  CHECK(counters.depth_records.value() == 0);
  queue.push(batch_of({{"a", 4}}, fates.ack()));
  queue.push({});
  CHECK(shelf.kept.size() == 4);
  SECTION("in order") { CHECK(contents(queue) == "a0 a1 a2 a3 a4 end"); }
  SECTION("full") {
    shelf.room = 5;
    for (int i = 5; i < 9; ++i) queue.push(batch_of({{"a", i}}, fates.ack()));
    CHECK(queue.full());
    CHECK(fates.refused == 0);
    shelf.room = 100;
    CHECK(contents(queue) == "a0 a1 a2 a3 a4 enda5 a6 a7 a8 ");
  }
  CHECK(fates.refused == 0);
}

TEST_CASE_METHOD(Fixture, "a link that ends brings what is in memory to its spool, behind what is there") {
  auto kept = std::make_shared<std::deque<std::shared_ptr<Batch>>>();
  struct Lasting final : Spool {
    std::shared_ptr<std::deque<std::shared_ptr<Batch>>> kept;
    bool put(const Batch& batch) override {
      kept->push_back(std::make_shared<Batch>(batch.copy()));
      return true;
    }
    std::optional<Envelope> take() override { return std::nullopt; }
    bool empty() override { return true; }
    void watch(Waker) override {}
  };
  auto lasting = std::make_unique<Lasting>();
  lasting->kept = kept;
  {
    Link link(Link::Ends::two_threads, {.records = 100}, Overflow::spool, std::move(lasting));
    for (int i = 0; i < 20; ++i) link.send(batch_of({{"a", i}}, fates.ack()));
    CHECK(kept->empty());
  }
  REQUIRE(kept->size() == 20);
  for (int i = 0; i < 20; ++i) CHECK((*kept)[static_cast<std::size_t>(i)]->records[0].fields[0].value.as_integer() == i);
  CHECK(fates.settled == 20);
}
