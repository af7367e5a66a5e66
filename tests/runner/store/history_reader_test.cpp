#include "runner/store/history_reader.h"

#include <catch2/catch.hpp>

#include "rows.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::test_rows;

namespace {

template <class T>
T value(Result<T> result) {
  if (!result) FAIL(result.error().what);
  return std::move(*result);
}

std::vector<std::string> ids(const std::vector<Incident>& incidents) {
  std::vector<std::string> all;
  for (const Incident& incident : incidents)
    all.push_back(incident.opening.key + "#" + incident.opening.incident_id.substr(incident.opening.incident_id.find('#') + 1));
  return all;
}

struct History {
  test::TempFolder folder;
  std::unique_ptr<Store> store = Store::open(folder.path()).value();

  void write(Commit commit) { store->commit(std::move(commit), {}); }

  std::unique_ptr<HistoryReader> read() {
    REQUIRE(store->flush());
    return value(HistoryReader::open(folder.path()));
  }
};

}  // namespace

TEST_CASE("incidents are listed newest first, with where they stand") {
  History history;
  history.write(opening("a", 1, 1000));
  history.write(closing("a", 1, 1500));
  history.write(opening("b", 1, 2000));
  history.write(opening("a", 2, 3000));
  auto reader = history.read();
  auto all = value(reader->incidents({}));
  CHECK(ids(all) == std::vector<std::string>{"a#2", "b#1", "a#1"});
  CHECK(all[0].last.to_state == "FIRING");
  CHECK(all[2].last.to_state == "OK");
  CHECK(all[2].last.event_ms == 1500);
  CHECK(all[2].opening.event_ms == 1000);
  CHECK(all[0].opening.value == 31.5);
  CHECK(all[0].opening.message == "a is hot");
  CHECK_FALSE(all[0].opening.window_start_ms);

  auto filtered = [&](auto set) {
    IncidentFilter filter;
    set(filter);
    return ids(value(reader->incidents(filter)));
  };
  using Ids = std::vector<std::string>;
  CHECK(filtered([](auto& f) { f.state = "FIRING"; }) == Ids{"a#2", "b#1"});
  CHECK(filtered([](auto& f) { f.state = "open"; }) == Ids{"a#2", "b#1"});
  CHECK(filtered([](auto& f) { f.state = "OK"; }) == Ids{"a#1"});
  CHECK(filtered([](auto& f) { f.key = "a"; }) == Ids{"a#2", "a#1"});
  CHECK(filtered([](auto& f) { f.rule = "hot"; }) == Ids{"a#2", "b#1", "a#1"});
  CHECK(filtered([](auto& f) { f.rule = "cold"; }).empty());
  CHECK(filtered([](auto& f) { f.pipeline = "shed"; }).empty());
  CHECK(filtered([](auto& f) { f.since_ms = 2000; }) == Ids{"a#2", "b#1"});
  CHECK(filtered([](auto& f) { f.limit = 1; }) == Ids{"a#2"});
}

TEST_CASE("pages follow one another without a gap or a repetition") {
  History history;
  for (int i = 0; i < 25; ++i) history.write(opening("k" + std::to_string(i), 1, (i / 3) * 1000));
  auto reader = history.read();
  IncidentFilter filter;
  filter.limit = 4;
  std::vector<std::string> paged;
  for (;;) {
    auto page = value(reader->incidents(filter));
    if (page.empty()) break;
    for (const auto& incident : page) paged.push_back(incident.opening.incident_id);
    filter.before_event_ms = page.back().opening.event_ms;
    filter.before_seq = page.back().opening.seq;
  }
  std::vector<std::string> whole;
  for (const auto& incident : value(reader->incidents({}))) whole.push_back(incident.opening.incident_id);
  CHECK(whole.size() == 25);
  CHECK(paged == whole);
}

TEST_CASE("an incident is found by its id, its dedup key or its key") {
  History history;
  history.write(opening("a", 1, 1000));
  history.write(closing("a", 1, 1500));
  history.write(opening("a", 2, 2000));
  history.write(opening("ab", 1, 3000));
  auto reader = history.read();
  using Ids = std::vector<std::string>;
  CHECK(ids(value(reader->find("house/climate/hot/a#1"))) == Ids{"a#1"});
  CHECK(ids(value(reader->find("house/climate/hot/a"))) == Ids{"a#2", "a#1"});
  CHECK(ids(value(reader->find("a"))) == Ids{"a#2", "a#1"});
  CHECK(ids(value(reader->find("a", 1))) == Ids{"a#2"});
  CHECK(value(reader->find("house")).empty());
  CHECK(value(reader->find("")).empty());
}

TEST_CASE("an incident shows its timeline, and who was told") {
  History history;
  history.write(opening("a", 1, 1000));
  history.write(delivery_of_opening("a", 1));
  history.write(closing("a", 1, 1500));
  auto reader = history.read();
  auto timeline = value(reader->timeline("house/climate/hot/a#1"));
  REQUIRE(timeline.size() == 2);
  CHECK(timeline[0].to_state == "FIRING");
  CHECK(timeline[0].opens);
  CHECK(timeline[1].to_state == "OK");
  CHECK(timeline[1].seq > timeline[0].seq);
  auto told = value(reader->told("house/climate/hot/a#1"));
  REQUIRE(told.size() == 1);
  CHECK(told[0].notification.type == "firing");
  REQUIRE(told[0].deliveries.size() == 1);
  CHECK(told[0].deliveries[0].target == "ntfy://127.0.0.1/***");
  CHECK(value(reader->timeline("house/climate/hot/a#9")).empty());
}

TEST_CASE("an acknowledgement shows until the alert grows worse") {
  History history;
  history.write(opening("a", 1, 1000));
  Commit ack = of_stage();
  ack.events.push_back(event("a", 1, 2, "FIRING", "FIRING", "ack:ada", 2000));
  ack.events.back().actor = "ada";
  history.write(ack);
  CHECK(value(history.read()->incidents({})).at(0).acked_by == "ada");
  Commit ignored = of_stage();
  ignored.events.push_back(event("a", 1, 3, "FIRING", "FIRING", "ack_ignored", 2500));
  history.write(ignored);
  CHECK(value(history.read()->incidents({})).at(0).acked_by == "ada");
  Commit worse = of_stage();
  worse.events.push_back(event("a", 1, 4, "FIRING", "FIRING", "escalated", 3000));
  history.write(worse);
  CHECK(value(history.read()->incidents({})).at(0).acked_by.empty());
}

TEST_CASE("what is no history is not read") {
  test::TempFolder folder;
  auto missing = HistoryReader::open(folder.path());
  REQUIRE_FALSE(missing);
  CHECK_THAT(missing.error().what, Catch::Matchers::Contains("--data DIR"));
  folder.write("history.db", std::string(5000, 'x'));
  CHECK_FALSE(HistoryReader::open(folder.path()));
  folder.write("history.db", "");
  CHECK_FALSE(HistoryReader::open(folder.path()));
}
