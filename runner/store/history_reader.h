#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/store/history.h"

namespace millrace::store {

/// Reads a history for people: `millrace alerts`, REST. Its own read-only connection, so it works beside a running instance and
/// never holds it up. For one thread at a time.
class HistoryReader {
 public:
  /// `<folder>/history.db` must exist and be of this Millrace's schema.
  static Result<std::unique_ptr<HistoryReader>> open(const std::filesystem::path& folder);

  ~HistoryReader();
  HistoryReader(const HistoryReader&) = delete;
  HistoryReader& operator=(const HistoryReader&) = delete;

  /// Incidents, newest opening first.
  Result<std::vector<Incident>> incidents(const IncidentFilter& filter);

  /// Every event, in the order of writing, until `visit` returns false. Reads row after row: for exports of any length.
  Result<void> each_event(const EventFilter& filter, const std::function<bool(const Event&)>& visit);

  /// Every event of an incident, in order; empty if there is no such incident.
  Result<std::vector<Event>> timeline(std::string_view incident_id);

  /// Who was told of it.
  Result<std::vector<Told>> told(std::string_view incident_id);

  /// The latest incidents whose id, dedup key, or key is `text`: what a person types to mean one.
  Result<std::vector<Incident>> find(std::string_view text, std::size_t limit = 20);

  /// By their begin.
  Result<std::vector<Silence>> silences(const SilenceFilter& filter);

  /// Those that have held over the incident while it was open.
  Result<std::vector<Silence>> silences_of(const Incident& incident);

  /// Newest first; empty texts mean any.
  Result<std::vector<DeadLetter>> dead_letters(std::string_view pipeline, std::string_view stage, std::size_t limit = 50);

 private:
  struct Impl;
  explicit HistoryReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::store
