#include "runner/store/recording.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <system_error>

#include "runner/store/database.h"
#include "runner/store/recording_file.h"

namespace millrace::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* schema = R"(
CREATE TABLE batch (
  seq INTEGER PRIMARY KEY,
  at_us INTEGER NOT NULL,
  source TEXT NOT NULL,
  records INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE INDEX batch_at ON batch (at_us);
)";

Error failure(const fs::path& path, const SQLite::Exception& error) {
  ErrorKind kind = classify(error) == Failure::passing ? ErrorKind::unavailable : ErrorKind::invalid;
  return {kind, fmt::format("recording {}: {}; see that its disk has room and can be written to", path.string(), error.what())};
}

/// Throws SQLite::Exception.
std::unique_ptr<SQLite::Database> open_file(const fs::path& path) {
  auto database =
      std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE | SQLite::OPEN_NOMUTEX);
  database->setBusyTimeout(2000);
  database->exec("PRAGMA journal_mode=WAL");
  database->exec("PRAGMA synchronous=NORMAL");
  database->exec("PRAGMA journal_size_limit=16777216");
  if (database->execAndGet("SELECT count(*) FROM sqlite_master").getInt() == 0) {
    SQLite::Transaction transaction(*database);
    database->exec(schema);
    database->exec(fmt::format("PRAGMA application_id={}", recording_file::application_id));
    database->exec(fmt::format("PRAGMA user_version={}", recording_file::version));
    transaction.commit();
  }
  return database;
}

void put_aside(const fs::path& path, std::string_view why, const std::function<void(LogLevel, std::string_view)>& log) {
  for (int n = 1; n < 10'000; ++n) {
    fs::path aside = fmt::format("{}.corrupt-{}", path.string(), n);
    std::error_code error;
    if (fs::exists(fs::symlink_status(aside, error))) continue;
    fs::rename(path, aside, error);
    for (const char* suffix : {"-wal", "-shm"}) {
      std::error_code ignored;  // it may well not exist
      fs::remove(path.string() + suffix, ignored);
    }
    if (log)
      log(LogLevel::error, fmt::format("recording {} cannot be used ({}): moved to {}", path.string(), why, aside.string()));
    return;
  }
}

}  // namespace

struct Recording::Impl {
  Impl(fs::path file, std::unique_ptr<SQLite::Database> opened)
      : path(std::move(file)),
        database(std::move(opened)),
        insert(*database, "INSERT INTO batch (at_us, source, records, data) VALUES (?, ?, ?, ?)"),
        oldest(*database, "SELECT seq, at_us, records FROM batch ORDER BY seq LIMIT 1"),
        remove(*database, "DELETE FROM batch WHERE seq = ?"),
        pages(*database, "PRAGMA page_count"),
        free_pages(*database, "PRAGMA freelist_count"),
        page_size(static_cast<std::uint64_t>(database->execAndGet("PRAGMA page_size").getInt64())) {}

  static std::uint64_t number(SQLite::Statement& statement) {
    statement.reset();
    std::uint64_t value = statement.executeStep() ? static_cast<std::uint64_t>(statement.getColumn(0).getInt64()) : 0;
    statement.reset();
    return value;
  }

  std::uint64_t used() { return (number(pages) - number(free_pages)) * page_size; }

  void put(const RecordedBatch& row) {
    insert.reset();
    insert.bind(1, static_cast<std::int64_t>(row.at.time_since_epoch().count()));
    insert.bindNoCopy(2, row.source);
    insert.bind(3, row.records);
    insert.bindNoCopy(4, row.data.data(), static_cast<int>(row.data.size()));
    insert.exec();
  }

  Trimmed trim(const Bounds& bounds, Time now) {
    Trimmed trimmed;
    const std::int64_t eldest = (now - bounds.keep).time_since_epoch().count();
    for (;;) {
      oldest.reset();
      if (!oldest.executeStep()) break;
      const bool aged = oldest.getColumn(1).getInt64() < eldest;
      if (!aged && used() <= bounds.bytes) break;
      (aged ? trimmed.by_age : trimmed.by_size) += static_cast<std::uint64_t>(oldest.getColumn(2).getInt64());
      const std::int64_t seq = oldest.getColumn(0).getInt64();
      oldest.reset();
      remove.reset();
      remove.bind(1, seq);
      remove.exec();
    }
    oldest.reset();
    return trimmed;
  }

  fs::path path;
  std::unique_ptr<SQLite::Database> database;
  SQLite::Statement insert, oldest, remove, pages, free_pages;
  std::uint64_t page_size;
};

Recording::Recording(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Recording::~Recording() = default;

Result<std::unique_ptr<Recording>> Recording::open(const fs::path& folder, std::string_view pipeline,
                                                   const std::function<void(LogLevel, std::string_view)>& log) {
  const fs::path path = recording_file::path(folder, pipeline);
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error) return unavailable(fmt::format("recording {}: {}", path.string(), error.message()));
  for (bool again = false;; again = true) {
    try {
      auto database = open_file(path);
      if (auto wrong = recording_file::problem(*database)) {
        if (again) return invalid(fmt::format("recording {}: {}", path.string(), *wrong));
        database.reset();
        put_aside(path, *wrong, log);
        continue;
      }
      return std::unique_ptr<Recording>(new Recording(std::make_unique<Impl>(path, std::move(database))));
    } catch (const SQLite::Exception& e) {
      if (again || classify(e) != Failure::damaged) return failure(path, e);
      put_aside(path, e.what(), log);
    }
  }
}

Result<Recording::Trimmed> Recording::append(std::span<const RecordedBatch> rows, const Bounds& bounds, Time now) {
  try {
    SQLite::Transaction transaction(*impl_->database);
    for (const RecordedBatch& row : rows) impl_->put(row);
    Trimmed trimmed = impl_->trim(bounds, now);
    transaction.commit();
    return trimmed;
  } catch (const SQLite::Exception& e) {
    return failure(impl_->path, e);
  }
}

std::uint64_t Recording::bytes() const { return impl_->used(); }

}  // namespace millrace::store
