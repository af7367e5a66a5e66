#include "runner/store/queries.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "runner/store/columns.h"

namespace millrace::store {
namespace {

// Reads one column after another, as a visitor of columns.h or called with the names left out. NULL is an empty text.
class Reading {
 public:
  explicit Reading(SQLite::Statement& statement) : statement_(statement) {}

  std::string text() {
    SQLite::Column column = statement_.getColumn(index_++);
    const void* data = column.getBlob();
    return data ? std::string(static_cast<const char*>(data), static_cast<std::size_t>(column.getBytes())) : std::string();
  }
  std::int64_t integer() { return statement_.getColumn(index_++).getInt64(); }

  void text(const char*, std::string& value) { value = text(); }
  void optional_text(const char*, std::string& value) { value = text(); }
  void blob(const char*, std::string& value) { value = text(); }
  void run_id(const char*, std::string& value) { value = text(); }
  template <class Integer>
  void integer(const char*, Integer& value) {
    value = static_cast<Integer>(integer());
  }
  void integer(const char*, bool& value) { value = integer() != 0; }
  void integer(const char*, std::optional<std::int64_t>& value) {
    SQLite::Column column = statement_.getColumn(index_++);
    value = column.isNull() ? std::nullopt : std::optional<std::int64_t>(column.getInt64());
  }
  void real(const char*, std::optional<double>& value) {
    SQLite::Column column = statement_.getColumn(index_++);
    value = column.isNull() ? std::nullopt : std::optional<double>(column.getDouble());
  }
  void status(const char*, DeliveryStatus& value) {
    const std::string name = text();
    for (DeliveryStatus status : {DeliveryStatus::pending, DeliveryStatus::delivered, DeliveryStatus::dead})
      if (name == name_of(status)) value = status;
  }
  template <class Row>
  void owner(Row& row) {
    row.pipeline = text();
    row.stage = text();
  }

 private:
  SQLite::Statement& statement_;
  int index_ = 0;
};

// Each type of row: what to select, and the row that a statement stands at.

template <class Row>
Row row_of(SQLite::Statement& statement) {
  Reading reading(statement);
  Row row;
  visit(reading, row);
  return row;
}

std::string select_events() { return fmt::format("SELECT seq, {} FROM alert_event", columns_of<Event>().list()); }

Event event_of(SQLite::Statement& statement) {
  Reading reading(statement);
  Event event;
  event.seq = reading.integer();
  visit(reading, event);
  return event;
}

std::string select_notifications() {
  return fmt::format("SELECT coalesce(e.ordinal, 0), {} FROM notification n LEFT JOIN alert_event e ON e.seq = n.event_seq",
                     columns_of<Notification>("n.").list());
}

Notification notification_of(SQLite::Statement& statement) {
  Reading reading(statement);
  Notification notification;
  reading.integer("ordinal", notification.event_ordinal);
  visit(reading, notification);
  return notification;
}

std::string select_deliveries() { return fmt::format("SELECT {} FROM push_delivery", columns_of<Delivery>().list()); }

// The texts of a JSON object; none if it is no such thing.
AlertLabels texts_of(const std::string& json) {
  AlertLabels texts;
  const auto parsed = nlohmann::json::parse(json, nullptr, false);
  if (!parsed.is_object()) return texts;
  for (const auto& [name, value] : parsed.items())
    if (value.is_string()) texts.emplace_back(name, value.get<std::string>());
  return texts;
}

std::string select_silences() {
  return fmt::format(
      "SELECT matchers_json ->> 'rule', matchers_json ->> 'key', matchers_json -> 'labels', matchers_json ->> 'once', {} FROM "
      "silence",
      columns_of<Silence>().list());
}

Silence silence_of(SQLite::Statement& statement) {
  Reading reading(statement);
  Silence silence;
  silence.rule = reading.text();
  silence.key = reading.text();
  silence.labels = texts_of(reading.text());
  silence.once = reading.text() == "1";
  visit(reading, silence);
  return silence;
}

DeadLetter letter_of(SQLite::Statement& statement) {
  Reading reading(statement);
  DeadLetter letter;
  letter.id = reading.integer();
  visit(reading, letter);
  return letter;
}

void bind_all(SQLite::Statement& statement, std::initializer_list<std::string_view> texts) {
  int index = 0;
  for (std::string_view text : texts) statement.bind(++index, std::string(text));
}

template <class Make>
auto rows(SQLite::Statement& statement, Make make) {
  std::vector<decltype(make(statement))> all;
  while (statement.executeStep()) all.push_back(make(statement));
  return all;
}

// A WHERE clause in the making, and what is bound to it.
class Conditions {
 public:
  explicit Conditions(std::string first = {}) {
    if (!first.empty()) add(std::move(first));
  }

  void add(std::string condition) { text_ += (text_.empty() ? " WHERE " : " AND ") + std::move(condition); }
  void equal(const char* column, const std::string& wanted) {
    if (wanted.empty()) return;
    add(fmt::format("{}=?{}", column, texts_.size() + 1));
    texts_.push_back(wanted);
  }
  void bind_to(SQLite::Statement& statement) const {
    for (std::size_t i = 0; i < texts_.size(); ++i) statement.bind(static_cast<int>(i) + 1, texts_[i]);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  std::vector<std::string> texts_;
};

bool is_open_state(std::string_view state) { return state != "OK" && state != "PENDING"; }

bool matches(std::string_view wanted, std::string_view state) {
  if (wanted.empty()) return true;
  return wanted == "open" ? is_open_state(state) : wanted == state;
}

// Makes of an incident's opening all that a list shows of it.
class IncidentReader {
 public:
  // Who has acknowledged an incident: its last ack, unless it has grown worse or come back since.
  explicit IncidentReader(SQLite::Database& database)
      : last_(database, select_events() + " WHERE incident_id=? ORDER BY ordinal DESC LIMIT 1"),
        ended_(
            database,
            "SELECT level_from FROM alert_event WHERE incident_id=? AND to_state='OK' AND from_state NOT IN ('OK', 'PENDING') "
            "ORDER BY ordinal DESC LIMIT 1"),
        acknowledged_(database,
                      "SELECT CASE WHEN reason LIKE 'ack:%' THEN coalesce(actor, substr(reason, 5)) END FROM alert_event "
                      "WHERE incident_id=? AND (reason LIKE 'ack:%' OR reason IN ('escalated', 'reactivated')) "
                      "ORDER BY ordinal DESC LIMIT 1") {}

  Incident read(SQLite::Statement& at_opening) {
    Incident incident{event_of(at_opening), {}, {}, {}};
    const std::string& id = incident.opening.incident_id;
    incident.last = found(last_, id) ? event_of(last_) : incident.opening;
    incident.level = incident.last.level_to;
    if (incident.last.to_state == "OK" && found(ended_, id)) incident.level = Reading(ended_).text();
    if (found(acknowledged_, id)) incident.acked_by = Reading(acknowledged_).text();
    return incident;
  }

 private:
  static bool found(SQLite::Statement& statement, const std::string& id) {
    statement.reset();
    statement.bind(1, id);
    return statement.executeStep();
  }

  SQLite::Statement last_, ended_, acknowledged_;
};

void add_conditions(Conditions& conditions, const EventFilter& filter) {
  conditions.equal("pipeline", filter.pipeline);
  conditions.equal("stage", filter.stage);
  conditions.equal("rule", filter.rule);
  conditions.equal("key", filter.key);
  if (filter.since_ms) conditions.add(fmt::format("event_ms >= {}", *filter.since_ms));
  if (filter.until_ms) conditions.add(fmt::format("event_ms < {}", *filter.until_ms));
}

// Open incidents are few beside those that have ended: they are found through alert_state, not by going back through the
// history.
Conditions conditions_of(const IncidentFilter& filter) {
  Conditions conditions("opens");
  if (!filter.state.empty() && is_open_state(filter.state))
    conditions.add(
        "incident_id IN (SELECT incident_id FROM alert_state WHERE incident_id IS NOT NULL AND state NOT IN ('OK', "
        "'PENDING'))");
  add_conditions(conditions, filter);
  if (filter.before_event_ms && filter.before_seq)
    conditions.add(fmt::format("(event_ms, seq) < ({}, {})", *filter.before_event_ms, *filter.before_seq));
  return conditions;
}

}  // namespace

std::vector<State> read_states(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(
      database, fmt::format("SELECT {} FROM alert_state WHERE pipeline=? AND stage=?", columns_of<State>().list()));
  bind_all(statement, {pipeline, stage});
  return rows(statement, row_of<State>);
}

std::vector<Notification> read_unsettled(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(
      database, select_notifications() + " WHERE n.pipeline=? AND n.stage=? AND n.settled_ms IS NULL ORDER BY n.seq");
  bind_all(statement, {pipeline, stage});
  return rows(statement, notification_of);
}

std::vector<Delivery> read_pending_deliveries(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(database,
                              select_deliveries() + " WHERE pipeline=? AND stage=? AND status='pending' ORDER BY seq");
  bind_all(statement, {pipeline, stage});
  return rows(statement, row_of<Delivery>);
}

std::vector<Snapshot> read_snapshots(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(database, "SELECT name, data FROM stage_snapshot WHERE pipeline=? AND stage=? ORDER BY name");
  bind_all(statement, {pipeline, stage});
  return rows(statement, [](SQLite::Statement& at) {
    Reading reading(at);
    Snapshot snapshot;
    snapshot.name = reading.text();
    snapshot.data = reading.text();
    return snapshot;
  });
}

std::vector<Silence> read_silences(SQLite::Database& database, const SilenceFilter& filter) {
  Conditions conditions;
  conditions.equal("pipeline", filter.pipeline);
  conditions.equal("stage", filter.stage);
  if (filter.holding_ms) conditions.add(fmt::format("to_ms > {0} AND coalesce(ended_ms, to_ms) > {0}", *filter.holding_ms));
  SQLite::Statement statement(database, select_silences() + conditions.text() + " ORDER BY from_ms, id, pipeline, stage");
  conditions.bind_to(statement);
  return rows(statement, silence_of);
}

std::vector<Silence> read_silences_of(SQLite::Database& database, const Incident& incident) {
  const Event& opening = incident.opening;
  std::int64_t over = std::numeric_limits<std::int64_t>::max();
  if (!is_open_state(incident.last.to_state)) {
    // Comments may follow an end.
    SQLite::Statement ended(
        database, "SELECT wall_ms FROM alert_event WHERE incident_id=? AND to_state<>from_state ORDER BY ordinal DESC LIMIT 1");
    bind_all(ended, {opening.incident_id});
    over = ended.executeStep() ? ended.getColumn(0).getInt64() : incident.last.wall_ms;
  }
  SQLite::Statement statement(
      database,
      select_silences() +
          " WHERE pipeline=?1 AND stage=?2 AND coalesce(ended_ms, to_ms) > ?3 AND from_ms <= ?4 ORDER BY from_ms, id");
  bind_all(statement, {opening.pipeline, opening.stage});
  statement.bind(3, opening.wall_ms);
  statement.bind(4, over);
  std::vector<Silence> held = rows(statement, silence_of);
  const AlertLabels labels = texts_of(opening.labels_json);
  std::erase_if(held, [&](const Silence& silence) { return !concerns(silence, opening.rule, opening.key, labels); });
  return held;
}

std::vector<Incident> read_incidents(SQLite::Database& database, const IncidentFilter& filter) {
  const Conditions conditions = conditions_of(filter);
  SQLite::Statement statement(database, select_events() + conditions.text() + " ORDER BY event_ms DESC, seq DESC");
  conditions.bind_to(statement);
  IncidentReader reader(database);
  std::vector<Incident> incidents;
  while (incidents.size() < filter.limit && statement.executeStep()) {
    Incident incident = reader.read(statement);
    if (matches(filter.state, incident.last.to_state)) incidents.push_back(std::move(incident));
  }
  return incidents;
}

void read_events(SQLite::Database& database, const EventFilter& filter, const std::function<bool(const Event&)>& visit) {
  Conditions conditions;
  add_conditions(conditions, filter);
  SQLite::Statement statement(database, select_events() + conditions.text() + " ORDER BY seq");
  conditions.bind_to(statement);
  while (statement.executeStep())
    if (!visit(event_of(statement))) return;
}

std::vector<Incident> find_incidents(SQLite::Database& database, std::string_view text, std::size_t limit) {
  // A dedup key names its incidents by the prefix `<dedup key>#`, which a range of the index finds; '$' follows '#'.
  SQLite::Statement statement(
      database, select_events() +
                    " WHERE seq IN ("
                    "SELECT seq FROM alert_event WHERE incident_id = ?1 AND opens UNION "
                    "SELECT seq FROM alert_event WHERE incident_id > ?1 || '#' AND incident_id < ?1 || '$' AND dedup_key = ?1 "
                    "AND opens UNION "
                    "SELECT seq FROM (SELECT seq FROM alert_event WHERE key = ?1 AND opens ORDER BY event_ms DESC LIMIT ?2)) "
                    "ORDER BY event_ms DESC, seq DESC LIMIT ?2");
  statement.bind(1, std::string(text));
  statement.bind(2, static_cast<std::int64_t>(limit));
  IncidentReader reader(database);
  return rows(statement, [&reader](SQLite::Statement& at) { return reader.read(at); });
}

std::vector<Event> read_timeline(SQLite::Database& database, std::string_view incident_id) {
  SQLite::Statement statement(database, select_events() + " WHERE incident_id=? ORDER BY ordinal");
  bind_all(statement, {incident_id});
  return rows(statement, event_of);
}

std::vector<Told> read_told(SQLite::Database& database, std::string_view incident_id) {
  SQLite::Statement statement(database, select_notifications() + " WHERE n.incident_id=? ORDER BY n.seq");
  bind_all(statement, {incident_id});
  SQLite::Statement deliveries(database, select_deliveries() + " WHERE notification_id=? ORDER BY seq");
  return rows(statement, [&deliveries](SQLite::Statement& at) {
    Told told{notification_of(at), {}};
    deliveries.reset();
    deliveries.bind(1, told.notification.id);
    told.deliveries = rows(deliveries, row_of<Delivery>);
    return told;
  });
}

std::vector<DeadLetter> read_dead_letters(SQLite::Database& database, std::string_view pipeline, std::string_view stage,
                                          std::size_t limit) {
  Conditions conditions;
  conditions.equal("pipeline", std::string(pipeline));
  conditions.equal("stage", std::string(stage));
  SQLite::Statement statement(database, fmt::format("SELECT id, {} FROM dead_letter{} ORDER BY id DESC LIMIT {}",
                                                    columns_of<DeadLetter>().list(), conditions.text(), limit));
  conditions.bind_to(statement);
  return rows(statement, letter_of);
}

}  // namespace millrace::store
