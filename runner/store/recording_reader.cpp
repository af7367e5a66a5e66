#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>

#include <system_error>

#include "runner/store/recording.h"
#include "runner/store/recording_file.h"

namespace millrace::store {

namespace fs = std::filesystem;

namespace recording_file {

fs::path path(const fs::path& folder, std::string_view pipeline) {
  return folder / "recordings" / (std::string(pipeline) + ".db");
}

std::optional<std::string> problem(SQLite::Database& database) {
  if (database.execAndGet("PRAGMA application_id").getInt() != application_id) return "no recording of Millrace";
  int found = database.execAndGet("PRAGMA user_version").getInt();
  if (found != version) return fmt::format("of version {}, where this program knows {}", found, version);
  return std::nullopt;
}

}  // namespace recording_file

struct RecordingReader::Impl {
  Impl(fs::path file, std::unique_ptr<SQLite::Database> opened)
      : path(std::move(file)),
        database(std::move(opened)),
        page(*database,
             "SELECT seq, at_us, source, records, data FROM batch WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 64") {}

  Error failure(const SQLite::Exception& error) const {
    return invalid(fmt::format("recording {}: {}", path.string(), error.what()));
  }

  /// A page at a time, each a short transaction, so that the writer's log need not grow while somebody reads.
  void fetch() {
    rows.clear();
    position = 0;
    page.reset();
    page.bind(1, seq);
    page.bind(2, last);
    while (page.executeStep()) {
      seq = page.getColumn(0).getInt64();
      Time at{Duration(page.getColumn(1).getInt64())};
      if (at < from || at >= to) continue;
      SQLite::Column data = page.getColumn(4);
      rows.push_back({page.getColumn(2).getString(), at, static_cast<std::uint32_t>(page.getColumn(3).getInt()),
                      std::string(static_cast<const char*>(data.getBlob()), static_cast<std::size_t>(data.getBytes()))});
    }
    page.reset();
  }

  std::int64_t number(const char* sql, std::int64_t bound, std::int64_t otherwise) {
    SQLite::Statement statement(*database, sql);
    statement.bind(1, bound);
    if (!statement.executeStep() || statement.getColumn(0).isNull()) return otherwise;
    return statement.getColumn(0).getInt64();
  }

  fs::path path;
  std::unique_ptr<SQLite::Database> database;
  SQLite::Statement page;
  Time from{}, to{};
  std::int64_t seq = 0, last = 0;
  std::vector<RecordedBatch> rows;
  std::size_t position = 0;
};

RecordingReader::RecordingReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
RecordingReader::~RecordingReader() = default;

Result<std::unique_ptr<RecordingReader>> RecordingReader::open(const fs::path& folder, std::string_view pipeline) {
  const fs::path path = recording_file::path(folder, pipeline);
  std::error_code error;
  if (!fs::exists(path, error))
    return invalid(
        fmt::format("there is no recording of '{}' in {}: the pipeline needs `record:`, and the data folder is named "
                    "with --data DIR",
                    pipeline, folder.string()));
  try {
    auto database = std::make_unique<SQLite::Database>(path.string(), SQLite::OPEN_READONLY | SQLite::OPEN_NOMUTEX);
    database->setBusyTimeout(2000);
    if (auto wrong = recording_file::problem(*database)) return invalid(fmt::format("{} is {}", path.string(), *wrong));
    return std::unique_ptr<RecordingReader>(new RecordingReader(std::make_unique<Impl>(path, std::move(database))));
  } catch (const SQLite::Exception& e) {
    return invalid(fmt::format("recording {}: {}; see that it is a recording and can be read", path.string(), e.what()));
  }
}

Result<std::optional<std::pair<Time, Time>>> RecordingReader::reach() {
  try {
    SQLite::Statement statement(*impl_->database, "SELECT min(at_us), max(at_us) FROM batch");
    if (!statement.executeStep() || statement.getColumn(0).isNull()) return std::nullopt;
    return std::pair{Time(Duration(statement.getColumn(0).getInt64())), Time(Duration(statement.getColumn(1).getInt64()))};
  } catch (const SQLite::Exception& e) {
    return impl_->failure(e);
  }
}

Result<std::vector<std::string>> RecordingReader::sources() {
  try {
    std::vector<std::string> names;
    SQLite::Statement statement(*impl_->database, "SELECT DISTINCT source FROM batch WHERE source <> '' ORDER BY source");
    while (statement.executeStep()) names.push_back(statement.getColumn(0).getString());
    return names;
  } catch (const SQLite::Exception& e) {
    return impl_->failure(e);
  }
}

Result<void> RecordingReader::seek(Time from, Time to) {
  try {
    impl_->from = from;
    impl_->to = to;
    impl_->rows.clear();
    impl_->position = 0;
    impl_->seq = impl_->number("SELECT min(seq) FROM batch WHERE at_us >= ?", from.time_since_epoch().count(), 1) - 1;
    impl_->last = impl_->number("SELECT max(seq) FROM batch WHERE at_us < ?", to.time_since_epoch().count(), 0);
    return {};
  } catch (const SQLite::Exception& e) {
    return impl_->failure(e);
  }
}

Result<std::optional<RecordedBatch>> RecordingReader::next() {
  try {
    while (impl_->position == impl_->rows.size()) {
      if (impl_->seq >= impl_->last) return std::nullopt;
      const std::int64_t before = impl_->seq;
      impl_->fetch();
      // Rows may have gone since: the oldest make room.
      if (impl_->seq == before) return std::nullopt;
    }
    return std::move(impl_->rows[impl_->position++]);
  } catch (const SQLite::Exception& e) {
    return impl_->failure(e);
  }
}

}  // namespace millrace::store
