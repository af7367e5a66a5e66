#include "runner/store/store.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <mutex>
#include <thread>

#include "opened_store.h"
#include "rows.h"
#include "runner/store/history_reader.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::test_rows;

TEST_CASE("a commit writes its events, states, notifications and snapshots, and a stage reads them back") {
  test::TempFolder folder;
  Commit commit = opening("room-1", 1);
  commit.states[0].extra = std::string("\0\xff", 2);
  commit.states[0].since_json = R"({"warning":5000})";
  commit.snapshots = {{"windows", std::string("a\0b", 3)}, {"marks", "m"}};
  {
    auto store = open(folder.path());
    Answers answers;
    store->commit(commit, answers.done());
    REQUIRE(answers.wait_for_good(1));
  }
  auto store = open(folder.path());
  auto states = value(store->states("house", "climate"));
  REQUIRE(states.size() == 1);
  CHECK(states[0].rule == "hot");
  CHECK(states[0].key == "room-1");
  CHECK(states[0].pipeline == "house");
  CHECK(states[0].state == "FIRING");
  CHECK(states[0].opening == 1);
  CHECK(states[0].since_json == R"({"warning":5000})");
  CHECK(states[0].extra == std::string("\0\xff", 2));
  CHECK(states[0].last_eval_ms == 5000);
  CHECK_FALSE(states[0].acked_ms);
  auto unsettled = value(store->unsettled("house", "climate"));
  REQUIRE(unsettled.size() == 1);
  CHECK(unsettled[0].id == "house/climate/hot/room-1#1/firing/phone");
  CHECK(unsettled[0].event_ordinal == 1);
  CHECK(unsettled[0].body == R"({"message":"hot"})");
  auto snapshots = value(store->snapshots("house", "climate"));
  REQUIRE(snapshots.size() == 2);
  CHECK(snapshots[0].name == "marks");
  CHECK(snapshots[1].data == std::string("a\0b", 3));
  CHECK(value(store->states("house", "other")).empty());
  CHECK(value(store->unsettled("other", "climate")).empty());
}

TEST_CASE("a commit repeated after a crash changes nothing twice") {
  test::TempFolder folder;
  auto store = open(folder.path());
  Answers answers;
  for (int i = 0; i < 3; ++i) store->commit(opening("room-1", 1), answers.done());
  Commit push = delivery_of_opening("room-1", 1);
  store->commit(push, answers.done());
  Commit sent;
  sent.delivery_updates.push_back({push.deliveries[0].id, 1, 0, 7000, "", DeliveryStatus::delivered});
  store->commit(sent, answers.done());
  store->commit(push, answers.done());
  REQUIRE(answers.wait_for_good(6));
  auto reader = value(HistoryReader::open(folder.path()));
  CHECK(value(reader->timeline("house/climate/hot/room-1#1")).size() == 1);
  auto told = value(reader->told("house/climate/hot/room-1#1"));
  REQUIRE(told.size() == 1);
  REQUIRE(told[0].deliveries.size() == 1);
  CHECK(told[0].deliveries[0].status == DeliveryStatus::delivered);
  CHECK(told[0].deliveries[0].attempts == 1);
  CHECK(told[0].notification.settled_ms == 6000);
  CHECK(value(store->states("house", "climate")).size() == 1);
}

TEST_CASE("push takes a notification over in one commit, and finds its deliveries again") {
  test::TempFolder folder;
  auto store = open(folder.path());
  store->commit(opening("room-1", 1), {});
  store->commit(delivery_of_opening("room-1", 1), {});
  CHECK(value(store->unsettled("house", "climate")).empty());
  auto pending = value(store->pending_deliveries("house", "phone"));
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].target == "ntfy://127.0.0.1/***");
  CHECK(pending[0].body == "hot in room-1");
  Commit failed;
  failed.delivery_updates.push_back({pending[0].id, 3, 9000, std::nullopt, "503", DeliveryStatus::pending});
  store->commit(failed, {});
  pending = value(store->pending_deliveries("house", "phone"));
  REQUIRE(pending.size() == 1);
  CHECK(pending[0].attempts == 3);
  CHECK(pending[0].next_try_ms == 9000);
  CHECK(pending[0].error == "503");
  Commit dead;
  dead.delivery_updates.push_back({pending[0].id, 4, 0, std::nullopt, "410 gone", DeliveryStatus::dead});
  store->commit(dead, {});
  CHECK(value(store->pending_deliveries("house", "phone")).empty());
}

TEST_CASE("a state is replaced whole, and removed") {
  test::TempFolder folder;
  auto store = open(folder.path());
  store->commit(opening("a", 1), {});
  store->commit(opening("b", 1), {});
  Commit commit = of_stage();
  State changed;
  changed.rule = "hot";
  changed.key = "a";
  commit.states.push_back(changed);
  commit.removed_states.push_back({"hot", "b"});
  store->commit(commit, {});
  auto states = value(store->states("house", "climate"));
  REQUIRE(states.size() == 1);
  CHECK(states[0].key == "a");
  CHECK(states[0].state == "OK");
  CHECK(states[0].incident_id.empty());
  CHECK_FALSE(states[0].last_eval_ms);
}

TEST_CASE("a snapshot replaces its predecessor and can be removed") {
  auto store = value(Store::in_memory());
  Commit commit = of_stage();
  commit.snapshots = {{"a", "1"}, {"b", ""}};
  store->commit(commit, {});
  commit.snapshots = {{"a", "2"}};
  store->commit(commit, {});
  auto kept = value(store->snapshots("house", "climate"));
  REQUIRE(kept.size() == 2);
  CHECK(kept[0].data == "2");
  CHECK(kept[1].data == "");
  commit.snapshots = {{"a", std::nullopt}};
  store->commit(commit, {});
  CHECK(value(store->snapshots("house", "climate")).size() == 1);
}

TEST_CASE("inline commits answer before commit() returns, even from within an answer") {
  auto store = value(Store::in_memory());
  std::vector<int> order;
  store->commit(opening("a", 1), [&](Result<void> first) {
    REQUIRE(first);
    store->commit(opening("b", 1), [&](Result<void> second) {
      REQUIRE(second);
      order.push_back(2);
    });
    order.push_back(1);
  });
  order.push_back(0);
  CHECK(order == std::vector<int>{2, 1, 0});
  CHECK(value(store->states("house", "climate")).size() == 2);
}

TEST_CASE("answers come in the order of the commits") {
  test::TempFolder folder;
  auto store = open(folder.path());
  std::vector<int> order;  // the writer thread's until flush()
  for (int i = 0; i < 5000; ++i)
    store->commit(opening(std::to_string(i), 1), [&order, i](Result<void> done) {
      if (done) order.push_back(i);
    });
  REQUIRE(store->flush(std::chrono::seconds(60)));
  REQUIRE(order.size() == 5000);
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(store->figures().transactions.value() < 5000);
  CHECK(store->figures().commits.value() == 5000);
}

TEST_CASE("a full queue refuses at once and writes the rest") {
  test::TempFolder folder;
  std::mutex gate;
  std::unique_lock closed(gate);
  Store::Options options;
  options.queue_commits = 3;
  options.on_commit_point = [&](CommitPoint point) {
    if (point == CommitPoint::begun) std::lock_guard wait(gate);
  };
  auto store = open(folder.path(), std::move(options));
  Answers answers;
  int refused = 0;
  int offered = 0;
  // The writer holds some in its hands; then three wait; then no more are taken.
  while (refused == 0 && offered < 5000) {
    store->commit(opening(std::to_string(offered++), 1), answers.done());
    std::lock_guard lock(answers.mutex);
    refused = static_cast<int>(answers.bad.size());
  }
  REQUIRE(refused == 1);
  CHECK(answers.bad[0].kind == ErrorKind::overloaded);
  CHECK(store->figures().refused.value() == 1);
  closed.unlock();
  REQUIRE(answers.wait_for_good(offered - 1));
  CHECK(value(store->states("house", "climate")).size() == static_cast<std::size_t>(offered - 1));
}

TEST_CASE("a dead letter is settled once it is committed") {
  test::TempFolder folder;
  std::atomic<int> settled{0};
  std::atomic<int> refused{0};
  auto ack = [&] { return Ack([&](Settlement how) { ++(how == Settlement::settled ? settled : refused); }); };
  {
    auto store = open(folder.path());
    store->dead_letter({"house", "calc", 5, "dev-1", R"({"a":1})", "script: attempt to index nil"}, ack());
    REQUIRE(store->flush());
    CHECK(settled == 1);
    CHECK(store->figures().dead_letters.value() == 1);
  }
  auto reader = value(HistoryReader::open(folder.path()));
  auto letters = value(reader->dead_letters("house", "calc"));
  REQUIRE(letters.size() == 1);
  CHECK(letters[0].device == "dev-1");
  CHECK(letters[0].record_json == R"({"a":1})");
  CHECK(letters[0].error == "script: attempt to index nil");
  CHECK(value(reader->dead_letters("house", "other")).empty());
  CHECK(refused == 0);
}

TEST_CASE("a stage keeps its newest dead letters, and those dropped are counted; other stages keep theirs") {
  test::TempFolder folder;
  const bool in_place = GENERATE(false, true);
  Store::Options options;
  options.dead_letters_per_stage = 10;
  options.inline_commits = in_place;
  std::atomic<int> settled{0};
  for (int life = 0; life < 2; ++life) {
    auto store = open(folder.path(), options);
    for (int i = 0; i < 25; ++i)
      store->dead_letter({"house", "calc", i, "", std::to_string((life * 25) + i), "e"}, Ack([&](Settlement) { ++settled; }));
    store->dead_letter({"house", "quiet", 0, "", "q", "e"});
    REQUIRE(store->flush());
    CHECK(settled == (life + 1) * 25);
    CHECK(store->figures().dead_letters_dropped.value() == (life == 0 ? 15 : 25));
  }
  auto reader = value(HistoryReader::open(folder.path()));
  auto letters = value(reader->dead_letters("house", "calc", 100));
  REQUIRE(letters.size() == 10);
  CHECK(letters.front().record_json == "49");
  CHECK(letters.back().record_json == "40");
  CHECK(value(reader->dead_letters("", "quiet")).size() == 2);
}

TEST_CASE("many threads may commit at once") {
  test::TempFolder folder;
  auto store = open(folder.path());
  Answers answers;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&, t] {
        for (int i = 0; i < 200; ++i) store->commit(opening(std::to_string(t) + "-" + std::to_string(i), 1), answers.done());
      });
  }
  REQUIRE(answers.wait_for_good(800));
  CHECK(value(store->states("house", "climate")).size() == 800);
}

TEST_CASE("a silence is kept for its stage, replaced under its name, and found as long as it holds") {
  test::TempFolder folder;
  {
    auto store = open(folder.path());
    Commit commit = of_stage();
    commit.silences.push_back({"night",
                               "hot",
                               "a \"quoted\" key",
                               {{"room", "attic*"}, {"say", "\"\\*\""}},
                               true,
                               1000,
                               9000,
                               "ada",
                               "asleep",
                               900,
                               {},
                               "",
                               ""});
    commit.silences.push_back({"all", "", "", {}, false, 2000, 3000, "", "", 900, {}, "", ""});
    commit.events.push_back(event("a", 1, 1, "OK", "FIRING", "condition", 5000));
    store->commit(commit, {});
    Commit other = of_stage();
    other.stage = "cellar";
    other.silences.push_back({"night", "", "", {}, true, 1000, 2000, "", "", 900, {}, "", ""});
    store->commit(other, {});
    commit.events.clear();
    commit.silences[1].ended_ms = 2500;
    store->commit(commit, {});
    REQUIRE(store->flush());
  }
  auto store = open(folder.path());
  auto ids = [&](const SilenceFilter& filter) {
    std::vector<std::string> all;
    for (const Silence& s : value(store->silences(filter))) all.push_back(s.stage + "/" + s.id);
    return all;
  };
  using Ids = std::vector<std::string>;
  CHECK(ids({}) == Ids{"cellar/night", "climate/night", "climate/all"});
  CHECK(ids({"house", "climate", {}}) == Ids{"climate/night", "climate/all"});
  CHECK(ids({"house", "climate", 2499}) == Ids{"climate/night", "climate/all"});
  CHECK(ids({"house", "climate", 2500}) == Ids{"climate/night"});
  CHECK(ids({"house", "climate", 9000}).empty());
  CHECK(value(store->silences({"house", "cellar", {}}))[0].once);
  CHECK_FALSE(value(store->silences({"house", "climate", {}}))[1].once);
  const Silence night = value(store->silences({"house", "climate", {}}))[0];
  CHECK(night.rule == "hot");
  CHECK(night.key == "a \"quoted\" key");
  CHECK(night.labels == AlertLabels{{"room", "attic*"}, {"say", "\"\\*\""}});
  CHECK(night.once);
  CHECK(night.author == "ada");
  CHECK(night.comment == "asleep");
  CHECK_FALSE(night.ended_ms);
}

TEST_CASE("each event says which run has written it") {
  test::TempFolder folder;
  for (int run = 1; run <= 3; ++run) {
    auto store = open(folder.path());
    CHECK(store->run_id() == std::to_string(run));
    store->commit(opening("room", static_cast<std::uint64_t>(run)), {});
    REQUIRE(store->flush());
    auto reader = value(HistoryReader::open(folder.path()));
    CHECK(value(reader->timeline("house/climate/hot/room#" + std::to_string(run)))[0].run_id == std::to_string(run));
  }
}
