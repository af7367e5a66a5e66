#pragma once

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

#include "runner/store/history.h"

namespace SQLite {
class Database;
}

namespace millrace::store {

// Everything that is read from a history. These throw SQLite::Exception; Store and HistoryReader turn it into errors.

std::vector<State> read_states(SQLite::Database& database, std::string_view pipeline, std::string_view stage);
std::vector<Notification> read_unsettled(SQLite::Database& database, std::string_view pipeline, std::string_view stage);
std::vector<Delivery> read_pending_deliveries(SQLite::Database& database, std::string_view pipeline, std::string_view stage);
std::vector<Snapshot> read_snapshots(SQLite::Database& database, std::string_view pipeline, std::string_view stage);

std::vector<Silence> read_silences(SQLite::Database& database, const SilenceFilter& filter);
std::vector<Silence> read_silences_of(SQLite::Database& database, const Incident& incident);

std::vector<Incident> read_incidents(SQLite::Database& database, const IncidentFilter& filter);
/// In the order of writing, until `visit` returns false.
void read_events(SQLite::Database& database, const EventFilter& filter, const std::function<bool(const Event&)>& visit);
std::vector<Incident> find_incidents(SQLite::Database& database, std::string_view text, std::size_t limit);
std::vector<Event> read_timeline(SQLite::Database& database, std::string_view incident_id);
std::vector<Told> read_told(SQLite::Database& database, std::string_view incident_id);
std::vector<DeadLetter> read_dead_letters(SQLite::Database& database, std::string_view pipeline, std::string_view stage,
                                          std::size_t limit);

}  // namespace millrace::store
