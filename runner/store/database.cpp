#include "runner/store/database.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <system_error>

#include "runner/store/migrations.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr int application_id = 0x4d494c4c;  // "MILL", at offset 68 of the file: file(1) and we know it by that
constexpr std::string_view companions[] = {"-wal", "-shm"};

int schema_version() { return static_cast<int>(migrations().size()); }

int pragma(SQLite::Database& database, const char* name) {
  return database.execAndGet(fmt::format("PRAGMA {}", name)).getInt();
}

Error newer(const fs::path& path, int version) {
  return invalid(
      fmt::format("history {}: written by a newer Millrace (schema {}, this program knows {}); run that version, or choose "
                  "another folder with --data DIR",
                  path.string(), version, schema_version()));
}

Error cannot_open(const fs::path& path, const SQLite::Exception& error) {
  int code = error.getErrorCode();
  std::string_view advice = "see that the file and its folder can be written to";
  if (code == SQLITE_FULL) advice = "free some room on its disk";
  if (code == SQLITE_BUSY) advice = "another program holds it: close that";
  return invalid(
      fmt::format("history {}: {}; {}, or choose another folder with --data DIR", path.string(), error.what(), advice));
}

void configure(SQLite::Database& database) {
  database.setBusyTimeout(2000);
  database.exec("PRAGMA journal_mode=WAL");
  database.exec("PRAGMA synchronous=FULL");
  database.exec("PRAGMA cache_size=-16384");
  database.exec("PRAGMA journal_size_limit=67108864");
  // A commit that finds so many pages in the log brings them into the file first, and whoever waits for it waits some 5 ms
  // longer. Four times as many take 15, and spare a burst of transitions a fifth of its time.
  database.exec("PRAGMA wal_autocheckpoint=1000");
}

void migrate(SQLite::Database& database) {
  for (int version = pragma(database, "user_version"); version < schema_version(); ++version) {
    SQLite::Transaction transaction(database);
    database.exec(std::string(migrations()[static_cast<std::size_t>(version)]));
    database.exec(fmt::format("PRAGMA application_id={}", application_id));
    database.exec(fmt::format("PRAGMA user_version={}", version + 1));
    transaction.commit();
  }
}

// A file that never was a history of ours: neither empty nor with our mark.
bool foreign(SQLite::Database& database) {
  if (pragma(database, "application_id") == application_id) return false;
  return database.execAndGet("SELECT count(*) FROM sqlite_master").getInt() > 0;
}

struct Deadline {
  std::chrono::steady_clock::time_point at;
};

int out_of_time(void* deadline) { return std::chrono::steady_clock::now() > static_cast<Deadline*>(deadline)->at ? 1 : 0; }

enum class Checked { whole, in_part, damaged };

// Runs one check, which answers "ok" or what is wrong; in_part if the budget ran out.
Checked run_check(SQLite::Database& database, const std::string& pragma, std::chrono::milliseconds budget,
                  std::string& finding) {
  Deadline deadline{std::chrono::steady_clock::now() + budget};
  struct Handler {
    sqlite3* database;
    ~Handler() { sqlite3_progress_handler(database, 0, nullptr, nullptr); }
  } handler{database.getHandle()};
  sqlite3_progress_handler(handler.database, 10'000, out_of_time, &deadline);
  try {
    SQLite::Statement statement(database, pragma);
    if (statement.executeStep()) finding = statement.getColumn(0).getString();
  } catch (const SQLite::Exception& error) {
    if (error.getErrorCode() == SQLITE_INTERRUPT) return Checked::in_part;
    throw;
  }
  return finding == "ok" ? Checked::whole : Checked::damaged;
}

// A small file is checked whole, indices against tables too. Of a large one, each table for as long as the budget allows: those
// that decide what people are told are small even then.
Checked check(SQLite::Database& database, std::chrono::milliseconds budget, std::string& finding) {
  constexpr int small_pages = 4096;
  if (pragma(database, "page_count") <= small_pages)
    return run_check(database, "PRAGMA integrity_check(1)", std::chrono::minutes(1), finding);
  Checked outcome = Checked::whole;
  for (const char* table : {"sqlite_master", "meta", "alert_state", "notification", "push_delivery", "stage_snapshot",
                            "silence", "dead_letter", "alert_event"}) {
    Checked checked = run_check(database, fmt::format("PRAGMA quick_check({})", table), budget, finding);
    if (checked == Checked::damaged) return checked;
    if (checked == Checked::in_part) outcome = checked;
  }
  return outcome;
}

// The tables and columns are those of the migrations: a statement that names them all compiles.
void see_schema(SQLite::Database& database) {
  SQLite::Statement(database, "SELECT opens, run_id FROM alert_event");
  SQLite::Statement(database, "SELECT extra, flaps_json FROM alert_state");
  SQLite::Statement(database, "SELECT link, body FROM notification");
  SQLite::Statement(database, "SELECT target_index, body FROM push_delivery");
  SQLite::Statement(database, "SELECT device, error FROM dead_letter");
  SQLite::Statement(database, "SELECT data FROM stage_snapshot");
  SQLite::Statement(database, "SELECT stage, matchers_json FROM silence");
}

void note_start(SQLite::Database& database) {
  // The first write finds a full or read-only disk now rather than at the first alert.
  database.exec("INSERT INTO meta (name, value) VALUES ('starts', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1");
}

Result<fs::path> quarantine(const fs::path& path) {
  for (int n = 1; n < 10'000; ++n) {
    fs::path aside = fmt::format("{}.corrupt-{}", path.string(), n);
    std::error_code error;
    if (fs::exists(fs::symlink_status(aside, error))) continue;
    fs::rename(path, aside, error);
    if (error)
      return invalid(fmt::format("history {}: damaged, and cannot be moved aside: {}", path.string(), error.message()));
    for (std::string_view suffix : companions) {
      std::error_code ignored;  // a companion may well not exist
      fs::rename(path.string() + std::string(suffix), aside.string() + std::string(suffix), ignored);
    }
    return aside;
  }
  return invalid(fmt::format("history {}: damaged, and 9999 damaged ones lie beside it; remove some", path.string()));
}

struct Damaged {
  std::string what;
};

// SQLite takes a file of a few bytes for an empty database and would write over it.
bool has_header(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) == 0 || error) return true;
  char header[16] = {};
  std::ifstream(path, std::ios::binary).read(header, sizeof header);
  return std::string_view(header, sizeof header) == std::string_view("SQLite format 3\0", sizeof header);
}

// The open history, or Damaged thrown, or an error to refuse the start with.
Result<DatabasePtr> open_once(const fs::path& path, const OpenHistory& how) {
  if (!has_header(path)) throw Damaged{"it is no SQLite database"};
  try {
    DatabasePtr database(
        new SQLite::Database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX));
    int version = pragma(*database, "user_version");
    if (foreign(*database)) throw Damaged{"it holds tables that are not a history's"};
    if (version > schema_version()) return newer(path, version);
    if (version < 0) throw Damaged{fmt::format("its schema version is {}", version)};
    configure(*database);
    migrate(*database);
    std::string finding = "ok";
    switch (check(*database, how.check_budget, finding)) {
      case Checked::damaged: throw Damaged{finding};
      case Checked::in_part:
        if (how.log) how.log(LogLevel::info, fmt::format("history {}: large, checked in part", path.string()));
        break;
      case Checked::whole: break;
    }
    see_schema(*database);
    note_start(*database);
    return database;
  } catch (const SQLite::Exception& error) {
    if (classify(error) == Failure::passing) return cannot_open(path, error);
    throw Damaged{error.what()};
  }
}

}  // namespace

HistoryFiles::HistoryFiles(const fs::path& history) {
  for (const fs::path& path : {history, fs::path(history.string() + "-wal")})
    if (auto file = look_at(path)) files_.push_back(std::move(*file));
}

std::optional<HistoryFiles::File> HistoryFiles::look_at(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return File{path, status.st_dev, status.st_ino};
}

bool HistoryFiles::in_place() const {
  return std::all_of(files_.begin(), files_.end(), [](const File& file) {
    auto now = look_at(file.path);
    return now && now->device == file.device && now->inode == file.inode;
  });
}

void CloseDatabase::operator()(SQLite::Database* database) const { delete database; }

Failure classify(const SQLite::Exception& error) {
  switch (error.getErrorCode()) {
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_PROTOCOL: return Failure::passing;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return Failure::damaged;
    default: return Failure::refused;
  }
}

Result<OpenedHistory> open_history(const OpenHistory& how) {
  const fs::path path = how.folder / history_file;
  OpenedHistory opened;
  for (;;) {
    try {
      auto database = open_once(path, how);
      if (!database) return database.error();
      opened.database = std::move(*database);
      return opened;
    } catch (const Damaged& damaged) {
      if (opened.quarantined)
        return invalid(fmt::format("history {}: a new one is damaged too: {}", path.string(), damaged.what));
      auto aside = quarantine(path);
      if (!aside) return aside.error();
      opened.quarantined = true;
      if (how.log)
        how.log(LogLevel::error,
                fmt::format("history {} is damaged ({}): moved to {}, beginning a new one without the old alerts",
                            path.string(), damaged.what, aside->string()));
    }
  }
}

Result<DatabasePtr> open_memory_history() {
  try {
    DatabasePtr database(new SQLite::Database(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE));
    migrate(*database);
    return database;
  } catch (const SQLite::Exception& error) {
    return invalid(fmt::format("history in memory: {}", error.what()));
  }
}

Result<DatabasePtr> open_history_to_read(const fs::path& folder) {
  const fs::path path = folder / history_file;
  std::error_code error;
  if (!fs::exists(path, error))
    return invalid(fmt::format("no history in {}; name the data folder with --data DIR", folder.string()));
  try {
    DatabasePtr database(new SQLite::Database(path.string(), SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX));
    database->setBusyTimeout(2000);
    int version = pragma(*database, "user_version");
    if (pragma(*database, "application_id") != application_id)
      return invalid(fmt::format("{} is not a history of Millrace", path.string()));
    if (version > schema_version()) return newer(path, version);
    if (version < schema_version())
      return invalid(fmt::format(
          "history {}: of an older Millrace (schema {}, this program reads {}); `millrace run` brings it up to date",
          path.string(), version, schema_version()));
    return database;
  } catch (const SQLite::Exception& failure) {
    return invalid(fmt::format("history {}: {}; see that it is a history and can be read", path.string(), failure.what()));
  }
}

}  // namespace millrace::store
