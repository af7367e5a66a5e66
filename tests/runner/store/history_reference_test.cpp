#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "runner/store/store.h"
#include "tests/support/temp_folder.h"

TEST_CASE("docs/reference/history.md names every table and every column") {
  millrace::test::TempFolder folder;
  millrace::store::Store::open(folder.path()).value();
  std::ifstream in(std::string(MILLRACE_SOURCE_DIR) + "/docs/reference/history.md");
  const std::string page(std::istreambuf_iterator<char>(in), {});

  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open_v2((folder.path() / "history.db").c_str(), &database, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
  sqlite3_stmt* columns = nullptr;
  REQUIRE(sqlite3_prepare_v2(database,
                             "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c "
                             "WHERE m.type = 'table' AND m.name NOT IN ('stage_snapshot', 'meta')",
                             -1, &columns, nullptr) == SQLITE_OK);
  int seen = 0;
  while (sqlite3_step(columns) == SQLITE_ROW) {
    const std::string table = reinterpret_cast<const char*>(sqlite3_column_text(columns, 0));
    const std::string column = reinterpret_cast<const char*>(sqlite3_column_text(columns, 1));
    INFO(table << "." << column);
    auto section = page.find("## `" + table + "`");
    if (section == std::string::npos) section = page.find("| `" + table + "` |");
    REQUIRE(section != std::string::npos);
    const std::string text = page.substr(section, page.find("\n## ", section) - section);
    CHECK(text.find("`" + column + "`") != std::string::npos);
    ++seen;
  }
  CHECK(seen > 80);
  sqlite3_finalize(columns);
  sqlite3_close(database);
}
