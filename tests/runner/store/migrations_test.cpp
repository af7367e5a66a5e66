#include "runner/store/migrations.h"

#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <memory>

#include "rows.h"
#include "runner/store/history_reader.h"
#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::store;
using namespace millrace::store::test_rows;

namespace {

struct Close {
  void operator()(sqlite3* database) const { sqlite3_close(database); }
};

void execute(sqlite3* database, const std::string& sql) {
  char* error = nullptr;
  if (sqlite3_exec(database, sql.c_str(), nullptr, nullptr, &error) != SQLITE_OK) FAIL(sql << ": " << error);
}

// A history as the program of that schema version left it, with one row in each table that version 1 wrote.
void make_history(const std::filesystem::path& folder, int version) {
  sqlite3* opened = nullptr;
  REQUIRE(sqlite3_open((folder / "history.db").c_str(), &opened) == SQLITE_OK);
  std::unique_ptr<sqlite3, Close> database(opened);
  execute(opened, "PRAGMA journal_mode=WAL");
  for (int i = 0; i < version; ++i) execute(opened, std::string(migrations()[static_cast<std::size_t>(i)]));
  execute(opened, "PRAGMA application_id=1296649292; PRAGMA user_version=" + std::to_string(version));
  execute(opened, R"(
    INSERT INTO meta VALUES ('starts', 7);
    INSERT INTO alert_event (incident_id, ordinal, dedup_key, pipeline, stage, rule, key, from_state, to_state, level_to, reason,
      opens, event_ms, wall_ms, value, message) VALUES
      ('house/climate/hot/a#1', 1, 'house/climate/hot/a', 'house', 'climate', 'hot', 'a', 'OK', 'FIRING', 'warning', 'condition',
       1, 5000, 5003, 31.5, 'a is hot');
    INSERT INTO alert_state (pipeline, stage, rule, key, state, incident_id, opening, events, extra) VALUES
      ('house', 'climate', 'hot', 'a', 'FIRING', 'house/climate/hot/a#1', 1, 1, x'00ff');
    INSERT INTO notification (id, pipeline, stage, link, incident_id, event_seq, rule, key, type, quiet, created_ms, body) VALUES
      ('n1', 'house', 'climate', 'phone', 'house/climate/hot/a#1', 1, 'hot', 'a', 'firing', 0, 5000, '{}');
    INSERT INTO push_delivery (id, notification_id, pipeline, stage, target, target_index, status, attempts, created_ms,
      next_try_ms) VALUES ('d1', 'n1', 'house', 'phone', 'ntfy', 0, 'pending', 2, 5000, 6000);
    INSERT INTO dead_letter (pipeline, stage, wall_ms, record_json, error) VALUES ('house', 'lua', 5000, '{}', 'nil');
    INSERT INTO stage_snapshot VALUES ('house', 'climate', 'common', 5000, x'01');
  )");
}

std::string schema_of(const std::filesystem::path& folder) {
  sqlite3* opened = nullptr;
  REQUIRE(sqlite3_open_v2((folder / "history.db").c_str(), &opened, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  std::unique_ptr<sqlite3, Close> database(opened);
  std::string schema;
  auto add = [](void* to, int, char** values, char**) {
    *static_cast<std::string*>(to) += std::string(values[0]) + "\n" + (values[1] ? values[1] : "") + "\n";
    return 0;
  };
  REQUIRE(sqlite3_exec(opened, "SELECT name, sql FROM sqlite_master ORDER BY name", add, &schema, nullptr) == SQLITE_OK);
  return schema;
}

}  // namespace

TEST_CASE("a history of every older version is brought up to date with all that it holds") {
  test::TempFolder fresh;
  REQUIRE(Store::open(fresh.path()).has_value());
  const std::string newest = schema_of(fresh.path());

  for (int version = 1; version <= static_cast<int>(migrations().size()); ++version) {
    CAPTURE(version);
    test::TempFolder folder;
    make_history(folder.path(), version);
    if (version < static_cast<int>(migrations().size())) {
      auto too_early = HistoryReader::open(folder.path());
      REQUIRE(too_early.has_error());
      CHECK_THAT(too_early.error().what, Catch::Matchers::Contains("older Millrace"));
    }
    auto store = Store::open(folder.path()).value();
    CHECK(store->figures().quarantined.value() == 0);
    CHECK(store->run_id() == "8");
    CHECK(schema_of(folder.path()) == newest);
    auto states = store->states("house", "climate").value();
    REQUIRE(states.size() == 1);
    CHECK(states[0].extra == std::string("\0\xff", 2));
    CHECK(store->unsettled("house", "climate").value().size() == 1);
    CHECK(store->pending_deliveries("house", "phone").value().size() == 1);
    CHECK(store->snapshots("house", "climate").value().size() == 1);
    store->commit(closing("a", 1, 9000), {});
    Commit silenced = of_stage();
    silenced.silences.push_back({"night", "", "a", {}, false, 5000, 9000, "ada", "", 4000, {}, "", ""});
    store->commit(silenced, {});
    REQUIRE(store->flush());
    auto reader = HistoryReader::open(folder.path()).value();
    auto timeline = reader->timeline("house/climate/hot/a#1").value();
    REQUIRE(timeline.size() == 2);
    CHECK(timeline[0].run_id.empty());
    CHECK(timeline[1].run_id == "8");
    CHECK(reader->dead_letters("", "").value().size() == 1);
    CHECK(reader->silences({}).value().size() == 1);
  }
}
