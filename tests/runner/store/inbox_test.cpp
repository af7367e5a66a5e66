#include "runner/store/inbox.h"
#include "inbox_bench.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <deque>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "runner/store/crc32c.h"
#include "runner/store/segment.h"
#include "runner/store/settled_set.h"
#include "tests/support/temp_folder.h"

using namespace millrace;

namespace fs = std::filesystem;
using store::Inbox;
using namespace millrace::store::bench;

TEST_CASE("CRC-32C gives the values of RFC 3720, by instruction and by tables") {
  const std::string zeros(32, '\0');
  const std::string ones(32, '\xff');
  CHECK(store::crc32c(zeros) == 0x8a9136aa);
  CHECK(store::crc32c(ones) == 0x62a8ab43);
  CHECK(store::crc32c_portable(zeros) == 0x8a9136aa);
  CHECK(store::crc32c_portable(ones) == 0x62a8ab43);
  CHECK(store::crc32c("123456789") == 0xe3069283);
  CHECK(store::crc32c_portable("6789", store::crc32c_portable("12345")) == 0xe3069283);
}

TEST_CASE("a settled set agrees with a set of numbers") {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    store::SettledSet settled;
    std::set<std::uint64_t> model;
    for (int step = 0; step < 40; ++step) {
      std::uint64_t begin = random() % 60;
      std::uint64_t end = begin + random() % 6;
      const auto before = model.size();
      for (auto n = begin; n < end; ++n) model.insert(n);
      REQUIRE(settled.add(begin, end) == model.size() - before);
      std::uint64_t mark = 0;
      while (model.count(mark) != 0) ++mark;
      REQUIRE(settled.mark() == mark);
      REQUIRE(settled.above() == model.size() - mark);
      for (std::uint64_t n = 0; n < 70; ++n) REQUIRE(settled.contains(n) == (model.count(n) != 0));
    }
  }
}

TEST_CASE("a message comes out of the inbox as it went in") {
  test::TempFolder folder;
  auto inbox = open(folder.path() / "box");
  REQUIRE(inbox->append("t/1", std::string_view("a\0b", 3), Time{Duration{123456789}}, 7).value() == first);
  REQUIRE(inbox->append("", "", Time{Duration{-5}}, 65535).value() == first + 1);
  std::vector<Inbox::Message> messages;
  REQUIRE(inbox->read(messages, 10));
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].topic == "t/1");
  CHECK(messages[0].payload == std::string_view("a\0b", 3));
  CHECK(messages[0].arrival == Time{Duration{123456789}});
  CHECK(messages[0].flags == 7);
  CHECK(messages[1].sequence == first + 1);
  CHECK(messages[1].topic.empty());
  CHECK(messages[1].payload.empty());
  CHECK(messages[1].arrival == Time{Duration{-5}});
  CHECK(inbox->drained());
  REQUIRE(inbox->read(messages, 10));
  CHECK(messages.empty());
}

TEST_CASE("after a restart what is not settled is read again, in order") {
  test::TempFolder folder;
  {
    auto inbox = open(folder.path());
    for (int i = 0; i < 6; ++i) append(*inbox, std::to_string(i));
    REQUIRE(read_all(*inbox).size() == 6);
    inbox->settle(first, first + 1);
    inbox->settle(first + 4, first + 4);
    CHECK(inbox->unsettled() == 3);
  }
  auto inbox = open(folder.path());
  auto again = read_all(*inbox);
  REQUIRE(again.size() >= 3);
  CHECK(again.front() == Read{first + 2, "2"});
  CHECK(again.back() == Read{first + 5, "5"});
  CHECK(append(*inbox, "6") == first + 6);
}

TEST_CASE("refused messages are read again before newer ones, and only they") {
  test::TempFolder folder;
  auto inbox = open(folder.path());
  for (int i = 0; i < 8; ++i) append(*inbox, std::to_string(i));
  REQUIRE(read_some(*inbox, 6).size() == 6);
  inbox->settle(first + 2, first + 2);
  inbox->refuse(first + 1, first + 3);
  inbox->refuse(first + 5, first + 100);  // beyond what was read: clipped
  CHECK_FALSE(inbox->drained());
  CHECK(read_all(*inbox) ==
        std::vector<Read>{{first + 1, "1"}, {first + 3, "3"}, {first + 5, "5"}, {first + 6, "6"}, {first + 7, "7"}});
}

TEST_CASE("a full inbox refuses, and takes messages again when some are settled") {
  test::TempFolder folder;
  auto inbox = open(folder.path());
  const std::string payload(1000, 'x');
  std::uint64_t last = 0;
  double fill_before = 0;
  for (;;) {
    fill_before = inbox->fill();
    auto sequence = inbox->append("t", payload, Time{});
    if (!sequence) {
      CHECK(sequence.error().kind == ErrorKind::overloaded);
      CHECK_THAT(sequence.error().what, Catch::Matchers::Contains("full"));
      break;
    }
    last = *sequence;
  }
  CHECK(fill_before > 0.9);
  CHECK(inbox->fill() <= 1.0);
  CHECK(inbox->figures().refused.value() == 1);
  REQUIRE(read_all(*inbox).size() == last - first + 1);
  inbox->settle(first, last - 100);
  CHECK(inbox->fill() < 0.5);
  CHECK(append(*inbox, payload) == last + 1);
  std::uintmax_t on_disk = 0;
  for (const auto& entry : fs::directory_iterator(folder.path())) on_disk += entry.file_size();
  CHECK(on_disk <= (512U << 10U) + 4096);
}

TEST_CASE("beyond the limit an inbox takes what its reserve holds, and says how far it is beyond") {
  test::TempFolder folder;
  Inbox::Options options = small();
  options.reserve = options.limit;
  auto inbox = Inbox::open(folder.path(), options).value();
  const std::string payload(1000, 'x');
  while (inbox->append("t", payload, Time{}).has_value()) {
  }
  CHECK(inbox->fill() > 1.8);
  CHECK(inbox->fill() <= 2.0);
}

TEST_CASE("a message larger than a segment is kept; one larger than half the limit is refused") {
  test::TempFolder folder;
  const std::string large(200'000, 'L');
  {
    auto inbox = open(folder.path());
    append(*inbox, large);
    append(*inbox, "small");
    auto refused = inbox->append("t", std::string(300'000, 'x'), Time{});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::rejected);
  }
  auto inbox = open(folder.path());
  CHECK(read_all(*inbox) == std::vector<Read>{{first, large}, {first + 1, "small"}});
}

TEST_CASE("sequences wrap round and nothing notices") {
  test::TempFolder folder;
  Inbox::Options options = small();
  options.first_sequence = ~std::uint64_t{0} - 150;
  std::uint64_t expected = *options.first_sequence;
  const std::string payload(1000, 'w');
  for (int round = 0; round < 6; ++round) {
    auto inbox = open(folder.path(), options);
    for (int i = 0; i < 100; ++i) REQUIRE(append(*inbox, payload) == expected + static_cast<std::uint64_t>(i));
    auto all = read_all(*inbox);
    REQUIRE(all.size() >= 100);
    REQUIRE(all.back().sequence == expected + 99);
    inbox->settle(all.front().sequence, expected + 89);
    REQUIRE(inbox->unsettled() == 10);
    expected += 100;
  }
}

TEST_CASE("settling what is unknown, twice or backwards never underflows") {
  test::TempFolder folder;
  auto inbox = open(folder.path());
  inbox->settle(first, first + 1000);
  CHECK(inbox->unsettled() == 0);
  append(*inbox, "a");
  append(*inbox, "b");
  CHECK(inbox->unsettled() == 2);
  inbox->settle(0, first);
  inbox->settle(0, first);
  inbox->settle(first + 1, first);
  CHECK(inbox->unsettled() == 1);
  CHECK(read_all(*inbox) == std::vector<Read>{{first + 1, "b"}});
}

TEST_CASE("a folder belongs to one inbox at a time") {
  test::TempFolder folder;
  auto inbox = open(folder.path());
  auto second = Inbox::open(folder.path(), small());
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == ErrorKind::unavailable);
  CHECK_THAT(second.error().what, Catch::Matchers::Contains("in use"));
  inbox.reset();
  CHECK(Inbox::open(folder.path(), small()));
}

TEST_CASE("every way of syncing keeps what it takes") {
  test::TempFolder folder;
  const auto sync = GENERATE(Inbox::Sync::os, Inbox::Sync::timed, Inbox::Sync::always);
  Inbox::Options options = small();
  options.sync = sync;
  {
    auto inbox = open(folder.path(), options);
    for (int i = 0; i < 150; ++i) append(*inbox, std::string(1000, 'x'));
  }
  CHECK(read_all(*open(folder.path(), options)).size() == 150);
}

TEST_CASE("a new log begins beyond any earlier one, so that a snapshot of another life does not cover it") {
  test::TempFolder folder;
  Inbox::Options options;
  const auto now = SystemClock().now().time_since_epoch().count();
  auto inbox = open(folder.path(), options);
  CHECK(append(*inbox, "x") >= static_cast<std::uint64_t>(now));
}
