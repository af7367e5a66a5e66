#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "runner/store/history.h"

namespace SQLite {
class Database;
}

namespace millrace::store {

/// Writes rows into an open history through prepared statements. Throws SQLite::Exception; whoever calls holds the transaction
/// and undoes it. For one thread at a time.
class HistoryWriter {
 public:
  HistoryWriter(SQLite::Database& database, std::size_t dead_letters_per_stage);
  ~HistoryWriter();
  HistoryWriter(const HistoryWriter&) = delete;
  HistoryWriter& operator=(const HistoryWriter&) = delete;

  void begin();
  void commit();
  void rollback() noexcept;

  /// Returns how many rows it has touched.
  std::size_t write(const Commit& commit);

  /// Returns how many older dead letters of the stage had to go.
  std::size_t write(const DeadLetter& letter);

  /// Of the events that do not name one: which start of the program this is.
  const std::string& run_id() const { return run_id_; }

 private:
  struct Statements;

  void write(const Commit& commit, const Event& event);
  void write(const Commit& commit, const State& state);
  void write(const Commit& commit, const Notification& notification);
  void write(const Commit& commit, const Delivery& delivery);
  void write(const Commit& commit, const Snapshot& snapshot);
  void write(const Commit& commit, const Silence& silence);
  void count_dead_letters();

  SQLite::Database& database_;
  std::unique_ptr<Statements> statements_;
  std::size_t dead_letters_per_stage_;
  std::string run_id_;
  std::map<std::pair<std::string, std::string>, std::size_t> dead_letters_;  ///< rows there are, by pipeline and stage
};

}  // namespace millrace::store
