#include "runner/store/history_reader.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>

#include "runner/store/database.h"
#include "runner/store/queries.h"

namespace millrace::store {

struct HistoryReader::Impl {
  std::filesystem::path path;
  DatabasePtr database;

  template <class Query>
  auto read(Query query) -> Result<decltype(query(*database))> {
    try {
      if constexpr (std::is_void_v<decltype(query(*database))>) {
        query(*database);
        return {};
      } else {
        return query(*database);
      }
    } catch (const SQLite::Exception& error) {
      return unavailable(fmt::format("history {}: cannot be read: {}", path.string(), error.what()));
    }
  }
};

Result<std::unique_ptr<HistoryReader>> HistoryReader::open(const std::filesystem::path& folder) {
  auto database = open_history_to_read(folder);
  if (!database) return database.error();
  auto impl = std::make_unique<Impl>();
  impl->path = folder / history_file;
  impl->database = std::move(*database);
  return std::unique_ptr<HistoryReader>(new HistoryReader(std::move(impl)));
}

HistoryReader::HistoryReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HistoryReader::~HistoryReader() = default;

Result<std::vector<Incident>> HistoryReader::incidents(const IncidentFilter& filter) {
  return impl_->read([&](SQLite::Database& database) { return read_incidents(database, filter); });
}

Result<void> HistoryReader::each_event(const EventFilter& filter, const std::function<bool(const Event&)>& visit) {
  return impl_->read([&](SQLite::Database& database) { read_events(database, filter, visit); });
}

Result<std::vector<Event>> HistoryReader::timeline(std::string_view incident_id) {
  return impl_->read([&](SQLite::Database& database) { return read_timeline(database, incident_id); });
}

Result<std::vector<Told>> HistoryReader::told(std::string_view incident_id) {
  return impl_->read([&](SQLite::Database& database) { return read_told(database, incident_id); });
}

Result<std::vector<Incident>> HistoryReader::find(std::string_view text, std::size_t limit) {
  return impl_->read([&](SQLite::Database& database) { return find_incidents(database, text, limit); });
}

Result<std::vector<Silence>> HistoryReader::silences(const SilenceFilter& filter) {
  return impl_->read([&](SQLite::Database& database) { return read_silences(database, filter); });
}

Result<std::vector<Silence>> HistoryReader::silences_of(const Incident& incident) {
  return impl_->read([&](SQLite::Database& database) { return read_silences_of(database, incident); });
}

Result<std::vector<DeadLetter>> HistoryReader::dead_letters(std::string_view pipeline, std::string_view stage,
                                                            std::size_t limit) {
  return impl_->read([&](SQLite::Database& database) { return read_dead_letters(database, pipeline, stage, limit); });
}

}  // namespace millrace::store
