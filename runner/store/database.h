#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/context.h"
#include "runner/stage/error.h"

namespace SQLite {
class Database;
class Exception;
class Statement;
}  // namespace SQLite

namespace millrace::store {

struct CloseDatabase {
  void operator()(SQLite::Database* database) const;
};
using DatabasePtr = std::unique_ptr<SQLite::Database, CloseDatabase>;

/// What to do about a failed call of SQLite.
enum class Failure {
  passing,  ///< no room, an I/O error, a lock: try again later
  damaged,  ///< the file is corrupt or no database
  refused,  ///< this statement will never work
};

Failure classify(const SQLite::Exception& error);

/// The name of the history in a data folder.
inline constexpr std::string_view history_file = "history.db";

struct OpenHistory {
  std::filesystem::path folder;
  std::chrono::milliseconds check_budget{200};
  std::function<void(LogLevel, std::string_view)> log;
};

struct OpenedHistory {
  DatabasePtr database;
  bool quarantined = false;  ///< a damaged file had to be put aside
};

/// Opens the history for writing, as Store::open promises: checked, migrated, writable; a damaged one is put aside.
Result<OpenedHistory> open_history(const OpenHistory& how);

/// The files behind an open history. What SQLite writes to one that was moved away or removed is in no history any more, and it
/// does not say so.
class HistoryFiles {
 public:
  /// Of a history that has just been opened.
  explicit HistoryFiles(const std::filesystem::path& history);

  /// Whether they still stand under their names. Two calls of stat(2).
  bool in_place() const;

 private:
  struct File {
    std::filesystem::path path;
    std::uint64_t device, inode;
  };
  static std::optional<File> look_at(const std::filesystem::path& path);

  std::vector<File> files_;
};

/// A new history in memory.
Result<DatabasePtr> open_memory_history();

/// Opens an existing history for reading only. It must be of this program's schema.
Result<DatabasePtr> open_history_to_read(const std::filesystem::path& folder);

}  // namespace millrace::store
