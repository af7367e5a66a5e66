#include "inbox_bench.h"
#include "runner/store/inbox.h"

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

TEST_CASE("a log cut off at any byte keeps every whole record and goes on") {
  test::TempFolder folder;
  const fs::path original = folder.path() / "original";
  std::vector<std::string> payloads{"one", "two-two", "", "four, which is longer than a header is", "5"};
  std::vector<std::uint64_t> ends{0};
  {
    auto inbox = open(original);
    for (const auto& payload : payloads) {
      append(*inbox, payload);
      ends.push_back(ends.back() + store::record_size(18, payload.size()));
    }
  }
  const fs::path name = segments(original).at(0).filename();
  const std::string bytes = bytes_of(original / name);
  for (std::uint64_t cut = ends[2]; cut <= ends.back(); ++cut) {
    for (bool zeros : {true, false}) {
      const fs::path copy = folder.path() / "copy";
      fs::create_directories(copy);
      fs::remove(copy / "settled");
      // A kill leaves zeros behind the cut; a file system may also have lost the preallocated end.
      write(copy / name, zeros ? bytes.substr(0, cut) + std::string(bytes.size() - cut, '\0') : bytes.substr(0, cut));
      // Padding is not needed to read a record.
      std::size_t whole = 0;
      while (whole < payloads.size() && ends[whole] + store::record_header + 18 + payloads[whole].size() <= cut) ++whole;
      INFO("cut at " << cut << (zeros ? " zeros" : " short") << ", whole records " << whole);
      auto inbox = open(copy);
      std::vector<Read> expected;
      for (std::size_t i = 0; i < whole; ++i) expected.push_back({first + i, payloads[i]});
      REQUIRE(read_all(*inbox) == expected);
      REQUIRE(inbox->figures().lost.value() == 0);
      REQUIRE(append(*inbox, "next") == first + whole);
      expected.push_back({first + whole, "next"});
      inbox.reset();
      REQUIRE(read_all(*open(copy)) == expected);
    }
  }
}

TEST_CASE("damage in the middle costs the damaged record alone, is counted and told") {
  test::TempFolder folder;
  const fs::path original = folder.path() / "original";
  {
    auto inbox = open(original);
    for (int i = 0; i < 5; ++i) append(*inbox, "payload " + std::to_string(i));
  }
  const fs::path name = segments(original).at(0).filename();
  const std::string bytes = bytes_of(original / name);
  const std::uint64_t size = store::record_size(18, 9);
  for (std::uint64_t at = 2 * size; at < 2 * size + store::record_header + 18 + 9; ++at) {
    const fs::path copy = folder.path() / "copy";
    fs::create_directories(copy);
    fs::remove(copy / "settled");
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
    write(copy / name, damaged);
    std::vector<std::string> logs;
    std::uint64_t told = 0;
    Inbox::Options options = small(&logs);
    options.on_lost = [&](std::uint64_t messages) { told += messages; };
    auto inbox = open(copy, options);
    INFO("byte " << at);
    REQUIRE(
        read_all(*inbox) ==
        std::vector<Read>{{first, "payload 0"}, {first + 1, "payload 1"}, {first + 3, "payload 3"}, {first + 4, "payload 4"}});
    REQUIRE(inbox->figures().lost.value() == 1);
    REQUIRE(told == 1);
    REQUIRE(logs.size() == 2);
    inbox->settle(first, first + 4);
    REQUIRE(inbox->unsettled() == 0);
  }
}

TEST_CASE("a lost segment is counted and does not stop the others") {
  test::TempFolder folder;
  std::uint64_t last = 0;
  {
    auto inbox = open(folder.path());
    for (int i = 0; i < 200; ++i) last = append(*inbox, std::string(1000, 'x'));
  }
  auto files = segments(folder.path());
  REQUIRE(files.size() >= 4);
  SECTION("removed") { fs::remove(files[1]); }
  SECTION("emptied") { fs::resize_file(files[1], 0); }
  SECTION("overwritten") { write(files[1], std::string(64U << 10U, '\xee')); }
  auto inbox = open(folder.path());
  auto all = read_all(*inbox);
  const std::uint64_t lost = store::sequence_of(files[2]).value() - store::sequence_of(files[1]).value();
  CHECK(all.size() == 200 - lost);
  CHECK(all.back().sequence == last);
  CHECK(inbox->figures().lost.value() == lost);
  CHECK(inbox->unsettled() == 200 - lost);
}

TEST_CASE("the settled position may be lost, stale or ahead: nothing unsettled goes missing") {
  test::TempFolder folder;
  const fs::path position = folder.path() / "settled";
  std::uint64_t last = 0;
  std::string stale;
  {
    auto inbox = open(folder.path());
    append(*inbox, "a");
    stale = bytes_of(position);
    for (int i = 0; i < 200; ++i) last = append(*inbox, std::string(1000, 'x'));
    read_all(*inbox);
    inbox->settle(first, last - 10);
  }
  SECTION("lost") {
    fs::remove(position);
    auto inbox = open(folder.path());
    auto all = read_all(*inbox);
    CHECK(all.size() >= 10);
    CHECK(all.back().sequence == last);
    CHECK(append(*inbox, "b") == last + 1);
  }
  SECTION("garbage") {
    write(position, std::string(4096, '\x5a'));
    CHECK(read_all(*open(folder.path())).back().sequence == last);
  }
  SECTION("as it was before segments were removed") {
    write(position, stale);
    auto inbox = open(folder.path());
    auto all = read_all(*inbox);
    CHECK(all.size() >= 10);
    CHECK(all.back().sequence == last);
    inbox->settle(first, last);
    CHECK(inbox->unsettled() == 0);
  }
  SECTION("ahead of a log that lost its end") {
    auto files = segments(folder.path());
    for (const auto& file : files) fs::resize_file(file, 0);
    auto inbox = open(folder.path());
    CHECK(inbox->unsettled() <= last);
    CHECK(read_all(*inbox).empty());
    CHECK(append(*inbox, "b") >= last - 10);
    CHECK(inbox->unsettled() == 1);
    CHECK(read_all(*inbox).size() == 1);
  }
}

TEST_CASE("a record that is too large for what is left does not lead later ones into a file that is gone") {
  test::TempFolder folder;
  {
    auto inbox = open(folder.path());
    const std::string payload(60'000, 'p');
    for (int i = 0; i < 6; ++i) append(*inbox, payload);
  }
  // As after a power cut that took the last segment's content.
  const fs::path last = segments(folder.path()).back();
  write(last, std::string(fs::file_size(last), '\0'));
  std::vector<Read> expected;
  {
    auto inbox = open(folder.path());
    expected = read_all(*inbox);
    auto refused = inbox->append("t", std::string(250'000, 'x'), Time{});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::overloaded);
    expected.push_back({append(*inbox, "small"), "small"});
  }
  CHECK(read_all(*open(folder.path())) == expected);
}

TEST_CASE("random appends, reads, settlements, refusals and restarts agree with a model") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    test::TempFolder folder;
    auto inbox = open(folder.path());
    std::map<std::uint64_t, std::string> kept;  // appended, not settled
    std::set<std::uint64_t> due;                // to be read
    std::set<std::uint64_t> read;               // read, not settled
    std::uint64_t next = first;
    for (int step = 0; step < 400; ++step) {
      const unsigned action = random() % 100;
      if (action < 45) {
        for (unsigned n = random() % 20; n > 0; --n) {
          std::string payload(random() % 3000, static_cast<char>('a' + random() % 26));
          auto sequence = inbox->append("devices/a/messages", payload, Time{});
          if (!sequence) {
            REQUIRE(sequence.error().kind == ErrorKind::overloaded);
            break;
          }
          REQUIRE(*sequence == next++);
          kept[*sequence] = payload;
          due.insert(*sequence);
        }
      } else if (action < 75) {
        for (const Read& message : read_some(*inbox, 1 + random() % 30)) {
          REQUIRE(due.erase(message.sequence) == 1);
          REQUIRE(kept.at(message.sequence) == message.payload);
          read.insert(message.sequence);
        }
      } else if (action < 92) {
        if (read.empty()) continue;
        auto at =
            random() % 2 == 0 ? read.begin() : std::next(read.begin(), static_cast<std::ptrdiff_t>(random() % read.size()));
        const std::uint64_t from = *at;
        std::uint64_t to = from;
        for (unsigned n = random() % 40; n > 0 && read.count(to + 1) != 0; --n) ++to;
        const bool settles = random() % 4 != 0;
        settles ? inbox->settle(from, to) : inbox->refuse(from, to);
        for (std::uint64_t n = from; n <= to; ++n) {
          read.erase(n);
          if (settles)
            kept.erase(n);
          else
            due.insert(n);
        }
      } else if (action < 95) {
        inbox.reset();
        inbox = open(folder.path());
        // What was settled behind something unsettled may come again; the model takes it back.
        read.clear();
        due.clear();
        const auto unsettled = inbox->unsettled();
        REQUIRE(unsettled >= kept.size());
        for (const Read& message : read_all(*inbox)) {
          if (kept.count(message.sequence) == 0) {
            inbox->settle(message.sequence, message.sequence);
            continue;
          }
          REQUIRE(kept.at(message.sequence) == message.payload);
          read.insert(message.sequence);
        }
        REQUIRE(read.size() == kept.size());
      }
      REQUIRE(inbox->unsettled() == kept.size());
      REQUIRE(inbox->drained() == due.empty());
    }
    std::set<std::uint64_t> rest;
    for (const Read& message : read_all(*inbox)) rest.insert(message.sequence);
    REQUIRE(rest == due);
    REQUIRE(inbox->figures().lost.value() == 0);
  }
}

TEST_CASE("an appender and a reader run side by side, through a log that is full at times") {
  test::TempFolder folder;
  auto inbox = open(folder.path());
  constexpr std::uint64_t count = 60'000;
  std::jthread appender([&] {
    for (std::uint64_t i = 0; i < count;) {
      const std::string payload = std::to_string(i) + std::string(i % 200, '.');
      if (inbox->append("t", payload, Time{}))
        ++i;
      else
        std::this_thread::yield();
    }
  });
  std::uint64_t expected = 0;
  std::vector<Inbox::Message> messages;
  while (expected < count) {
    if (!inbox->read(messages, 500)) FAIL("cannot be read");
    if (messages.empty()) {
      std::this_thread::yield();
      continue;
    }
    for (const auto& message : messages) {
      if (message.sequence != first + expected) FAIL("out of order at " << expected);
      if (!message.payload.starts_with(std::to_string(expected))) FAIL("wrong payload at " << expected);
      ++expected;
    }
    inbox->settle(messages.front().sequence, messages.back().sequence);
  }
  CHECK(inbox->unsettled() == 0);
  CHECK(inbox->figures().lost.value() == 0);
  CHECK(inbox->figures().appended.value() == count);
}

TEST_CASE("a kill at any moment loses nothing that append() returned for") {
  test::TempFolder folder;
  std::mt19937 random(99);
  std::uint64_t acknowledged = first - 1;
  for (int round = 0; round < 20; ++round) {
    int pipes[2];
    REQUIRE(::pipe(pipes) == 0);
    pid_t child = ::fork();
    if (child == 0) {
      ::close(pipes[0]);
      auto inbox = Inbox::open(folder.path(), small());
      if (!inbox) ::_exit(1);
      std::vector<Inbox::Message> messages;
      for (;;) {
        auto sequence = (*inbox)->append("t", std::string(random() % 500, 'k'), Time{});
        if (sequence && ::write(pipes[1], &*sequence, sizeof *sequence) != sizeof *sequence) ::_exit(1);
        // All but the newest forty are settled, so that segments are freed and used anew.
        if (!(*inbox)->read(messages, 50)) ::_exit(1);
        if (!messages.empty()) (*inbox)->settle(0, messages.back().sequence - 40);
      }
    }
    ::close(pipes[1]);
    const unsigned until = 200 + random() % 2000;
    std::uint64_t sequence = 0;
    std::uint64_t last = acknowledged;
    for (unsigned n = 0; n < until && ::read(pipes[0], &sequence, sizeof sequence) == sizeof sequence; ++n) last = sequence;
    ::kill(child, SIGKILL);
    while (::read(pipes[0], &sequence, sizeof sequence) == sizeof sequence) last = sequence;
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(pipes[0]);
    REQUIRE(WIFSIGNALED(status));
    REQUIRE(last > acknowledged);
    auto inbox = open(folder.path());
    auto all = read_all(*inbox);
    INFO("round " << round);
    REQUIRE_FALSE(all.empty());
    REQUIRE(all.back().sequence >= last);
    for (std::size_t i = 1; i < all.size(); ++i) REQUIRE(all[i].sequence == all[i - 1].sequence + 1);
    REQUIRE(inbox->figures().lost.value() == 0);
    REQUIRE(all.size() >= std::min<std::uint64_t>(40, last - first));
    acknowledged = all.back().sequence;
  }
}
