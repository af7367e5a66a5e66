#include "runner/store/queries.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>

#include <optional>
#include <string>

namespace millrace::store {
namespace {

// Reads the columns of a row in the order of the SELECT.
class Row {
 public:
  explicit Row(SQLite::Statement& statement) : statement_(statement) {}

  std::string text() {
    SQLite::Column column = statement_.getColumn(index_++);
    const void* data = column.getBlob();
    return data ? std::string(static_cast<const char*>(data), static_cast<std::size_t>(column.getBytes())) : std::string();
  }
  std::int64_t integer() { return statement_.getColumn(index_++).getInt64(); }
  std::optional<std::int64_t> optional_integer() {
    SQLite::Column column = statement_.getColumn(index_++);
    return column.isNull() ? std::nullopt : std::optional<std::int64_t>(column.getInt64());
  }
  std::optional<double> optional_real() {
    SQLite::Column column = statement_.getColumn(index_++);
    return column.isNull() ? std::nullopt : std::optional<double>(column.getDouble());
  }

 private:
  SQLite::Statement& statement_;
  int index_ = 0;
};

constexpr std::string_view event_columns =
    "seq, incident_id, ordinal, pipeline, stage, rule, rule_hash, key, from_state, to_state, level_from, level_to, reason, "
    "opens, "
    "event_ms, wall_ms, value, threshold, window_kind, window_start_ms, window_end_ms, samples, aggregates_json, labels_json, "
    "message, actor, comment, suppressed_by, run_id FROM alert_event";

Event event_of(SQLite::Statement& statement) {
  Row row(statement);
  Event event;
  event.seq = row.integer();
  event.incident_id = row.text();
  event.ordinal = static_cast<std::uint64_t>(row.integer());
  event.pipeline = row.text();
  event.stage = row.text();
  event.rule = row.text();
  event.rule_hash = row.text();
  event.key = row.text();
  event.from_state = row.text();
  event.to_state = row.text();
  event.level_from = row.text();
  event.level_to = row.text();
  event.reason = row.text();
  event.opens = row.integer() != 0;
  event.event_ms = row.integer();
  event.wall_ms = row.integer();
  event.value = row.optional_real();
  event.threshold = row.optional_real();
  event.window_kind = row.text();
  event.window_start_ms = row.optional_integer();
  event.window_end_ms = row.optional_integer();
  event.samples = row.optional_integer();
  event.aggregates_json = row.text();
  event.labels_json = row.text();
  event.message = row.text();
  event.actor = row.text();
  event.comment = row.text();
  event.suppressed_by = row.text();
  event.run_id = row.text();
  return event;
}

constexpr std::string_view notification_columns =
    "n.id, n.pipeline, n.stage, n.link, n.incident_id, coalesce(e.ordinal, 0), n.rule, n.key, n.level, n.type, n.quiet, "
    "n.created_ms, "
    "n.settled_ms, n.body FROM notification n LEFT JOIN alert_event e ON e.seq = n.event_seq";

Notification notification_of(SQLite::Statement& statement) {
  Row row(statement);
  Notification notification;
  notification.id = row.text();
  notification.pipeline = row.text();
  notification.stage = row.text();
  notification.link = row.text();
  notification.incident_id = row.text();
  notification.event_ordinal = static_cast<std::uint64_t>(row.integer());
  notification.rule = row.text();
  notification.key = row.text();
  notification.level = row.text();
  notification.type = row.text();
  notification.quiet = row.integer() != 0;
  notification.created_ms = row.integer();
  notification.settled_ms = row.optional_integer();
  notification.body = row.text();
  return notification;
}

constexpr std::string_view delivery_columns =
    "id, notification_id, pipeline, stage, target, target_index, status, attempts, created_ms, next_try_ms, delivered_ms, "
    "error, body "
    "FROM push_delivery";

DeliveryStatus status_of(std::string_view name) {
  if (name == name_of(DeliveryStatus::delivered)) return DeliveryStatus::delivered;
  if (name == name_of(DeliveryStatus::dead)) return DeliveryStatus::dead;
  return DeliveryStatus::pending;
}

Delivery delivery_of(SQLite::Statement& statement) {
  Row row(statement);
  Delivery delivery;
  delivery.id = row.text();
  delivery.notification_id = row.text();
  delivery.pipeline = row.text();
  delivery.stage = row.text();
  delivery.target = row.text();
  delivery.target_index = static_cast<int>(row.integer());
  delivery.status = status_of(row.text());
  delivery.attempts = static_cast<std::uint32_t>(row.integer());
  delivery.created_ms = row.integer();
  delivery.next_try_ms = row.integer();
  delivery.delivered_ms = row.optional_integer();
  delivery.error = row.text();
  delivery.body = row.text();
  return delivery;
}

State state_of(SQLite::Statement& statement) {
  Row row(statement);
  State state;
  state.pipeline = row.text();
  state.stage = row.text();
  state.rule = row.text();
  state.key = row.text();
  state.rule_hash = row.text();
  state.state = row.text();
  state.level = row.text();
  state.since_json = row.text();
  state.incident_id = row.text();
  state.opening = static_cast<std::uint64_t>(row.integer());
  state.events = static_cast<std::uint64_t>(row.integer());
  state.lower_since_ms = row.optional_integer();
  state.last_eval_ms = row.optional_integer();
  state.last_seen_ms = row.optional_integer();
  state.acked_by = row.text();
  state.acked_ms = row.optional_integer();
  state.last_notified_ms = row.optional_integer();
  state.owed = row.text();
  state.flaps_json = row.text();
  state.extra = row.text();
  return state;
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

// Who has acknowledged an incident: its last ack, unless it has grown worse or come back since.
std::string acknowledged_by(SQLite::Database& database, const std::string& incident_id) {
  SQLite::Statement statement(
      database,
      "SELECT CASE WHEN reason LIKE 'ack:%' THEN coalesce(actor, substr(reason, 5)) END FROM alert_event "
      "WHERE incident_id=? AND (reason LIKE 'ack:%' OR reason IN ('escalated', 'reactivated')) "
      "ORDER BY ordinal DESC LIMIT 1");
  statement.bind(1, incident_id);
  return statement.executeStep() ? Row(statement).text() : std::string();
}

class IncidentReader {
 public:
  explicit IncidentReader(SQLite::Database& database)
      : database_(database),
        last_(database, fmt::format("SELECT {} WHERE incident_id=? ORDER BY ordinal DESC LIMIT 1", event_columns)) {}

  Event last_of(const Event& opening) {
    last_.reset();
    last_.bind(1, opening.incident_id);
    return last_.executeStep() ? event_of(last_) : opening;
  }

  Incident whole(Event opening, Event last) {
    Incident incident{std::move(opening), std::move(last), {}};
    incident.acked_by = acknowledged_by(database_, incident.opening.incident_id);
    return incident;
  }

 private:
  SQLite::Database& database_;
  SQLite::Statement last_;
};

bool is_open_state(std::string_view state) { return state != "OK" && state != "PENDING"; }

bool matches(std::string_view wanted, std::string_view state) {
  if (wanted.empty()) return true;
  return wanted == "open" ? is_open_state(state) : wanted == state;
}

// Open incidents are few beside those that have ended: they are found through alert_state, not by going back through the
// history.
std::string incident_query(const IncidentFilter& filter) {
  std::string sql = fmt::format("SELECT {} WHERE opens", event_columns);
  if (filter.state == "open" || (!filter.state.empty() && is_open_state(filter.state)))
    sql +=
        " AND incident_id IN (SELECT incident_id FROM alert_state WHERE incident_id IS NOT NULL AND state NOT IN ('OK', "
        "'PENDING'))";
  if (!filter.pipeline.empty()) sql += " AND pipeline=:pipeline";
  if (!filter.rule.empty()) sql += " AND rule=:rule";
  if (!filter.key.empty()) sql += " AND key=:key";
  if (filter.since_ms) sql += " AND event_ms>=:since";
  if (filter.before_event_ms && filter.before_seq) sql += " AND (event_ms, seq) < (:before_ms, :before_seq)";
  return sql + " ORDER BY event_ms DESC, seq DESC";
}

}  // namespace

std::vector<State> read_states(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(database,
                              "SELECT pipeline, stage, rule, key, rule_hash, state, level, since_json, incident_id, opening, "
                              "events, lower_since_ms, last_eval_ms, "
                              "last_seen_ms, acked_by, acked_ms, last_notified_ms, owed, flaps_json, extra FROM alert_state "
                              "WHERE pipeline=? AND stage=?");
  bind_all(statement, {pipeline, stage});
  return rows(statement, state_of);
}

std::vector<Notification> read_unsettled(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(
      database,
      fmt::format("SELECT {} WHERE n.pipeline=? AND n.stage=? AND n.settled_ms IS NULL ORDER BY n.seq", notification_columns));
  bind_all(statement, {pipeline, stage});
  return rows(statement, notification_of);
}

std::vector<Delivery> read_pending_deliveries(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(
      database, fmt::format("SELECT {} WHERE pipeline=? AND stage=? AND status='pending' ORDER BY seq", delivery_columns));
  bind_all(statement, {pipeline, stage});
  return rows(statement, delivery_of);
}

std::vector<Snapshot> read_snapshots(SQLite::Database& database, std::string_view pipeline, std::string_view stage) {
  SQLite::Statement statement(database, "SELECT name, data FROM stage_snapshot WHERE pipeline=? AND stage=? ORDER BY name");
  bind_all(statement, {pipeline, stage});
  return rows(statement, [](SQLite::Statement& at) {
    Row row(at);
    Snapshot snapshot;
    snapshot.name = row.text();
    snapshot.data = row.text();
    return snapshot;
  });
}

std::vector<Incident> read_incidents(SQLite::Database& database, const IncidentFilter& filter) {
  SQLite::Statement statement(database, incident_query(filter));
  if (!filter.pipeline.empty()) statement.bind(":pipeline", filter.pipeline);
  if (!filter.rule.empty()) statement.bind(":rule", filter.rule);
  if (!filter.key.empty()) statement.bind(":key", filter.key);
  if (filter.since_ms) statement.bind(":since", *filter.since_ms);
  if (filter.before_event_ms && filter.before_seq) {
    statement.bind(":before_ms", *filter.before_event_ms);
    statement.bind(":before_seq", *filter.before_seq);
  }
  IncidentReader reader(database);
  std::vector<Incident> incidents;
  while (incidents.size() < filter.limit && statement.executeStep()) {
    Event opening = event_of(statement);
    Event last = reader.last_of(opening);
    if (matches(filter.state, last.to_state)) incidents.push_back(reader.whole(std::move(opening), std::move(last)));
  }
  return incidents;
}

std::vector<Incident> find_incidents(SQLite::Database& database, std::string_view text, std::size_t limit) {
  // A dedup key names its incidents by the prefix `<dedup key>#`, which a range of the index finds; '$' follows '#'.
  SQLite::Statement statement(
      database,
      fmt::format("SELECT {} WHERE seq IN ("
                  "SELECT seq FROM alert_event WHERE incident_id = ?1 AND opens UNION "
                  "SELECT seq FROM alert_event WHERE incident_id > ?1 || '#' AND incident_id < ?1 || '$' AND dedup_key = ?1 "
                  "AND opens UNION "
                  "SELECT seq FROM (SELECT seq FROM alert_event WHERE key = ?1 AND opens ORDER BY event_ms DESC LIMIT ?2)) "
                  "ORDER BY event_ms DESC, seq DESC LIMIT ?2",
                  event_columns));
  statement.bind(1, std::string(text));
  statement.bind(2, static_cast<std::int64_t>(limit));
  IncidentReader reader(database);
  return rows(statement, [&reader](SQLite::Statement& row) {
    Event opening = event_of(row);
    Event last = reader.last_of(opening);
    return reader.whole(std::move(opening), std::move(last));
  });
}

std::vector<Event> read_timeline(SQLite::Database& database, std::string_view incident_id) {
  SQLite::Statement statement(database, fmt::format("SELECT {} WHERE incident_id=? ORDER BY ordinal", event_columns));
  bind_all(statement, {incident_id});
  return rows(statement, event_of);
}

std::vector<Told> read_told(SQLite::Database& database, std::string_view incident_id) {
  SQLite::Statement statement(database, fmt::format("SELECT {} WHERE n.incident_id=? ORDER BY n.seq", notification_columns));
  bind_all(statement, {incident_id});
  SQLite::Statement deliveries(database, fmt::format("SELECT {} WHERE notification_id=? ORDER BY seq", delivery_columns));
  return rows(statement, [&deliveries](SQLite::Statement& row) {
    Told told{notification_of(row), {}};
    deliveries.reset();
    deliveries.bind(1, told.notification.id);
    told.deliveries = rows(deliveries, delivery_of);
    return told;
  });
}

std::vector<DeadLetter> read_dead_letters(SQLite::Database& database, std::string_view pipeline, std::string_view stage,
                                          std::size_t limit) {
  SQLite::Statement statement(database,
                              "SELECT id, pipeline, stage, wall_ms, device, record_json, error FROM dead_letter "
                              "WHERE (?1 = '' OR pipeline = ?1) AND (?2 = '' OR stage = ?2) ORDER BY id DESC LIMIT ?3");
  bind_all(statement, {pipeline, stage});
  statement.bind(3, static_cast<std::int64_t>(limit));
  return rows(statement, [](SQLite::Statement& at) {
    Row row(at);
    DeadLetter letter;
    letter.id = row.integer();
    letter.pipeline = row.text();
    letter.stage = row.text();
    letter.wall_ms = row.integer();
    letter.device = row.text();
    letter.record_json = row.text();
    letter.error = row.text();
    return letter;
  });
}

}  // namespace millrace::store
