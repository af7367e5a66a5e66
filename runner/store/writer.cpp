#include "runner/store/writer.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <sqlite3.h>

#include <cassert>
#include <optional>
#include <string_view>

namespace millrace::store {
namespace {

constexpr const char* insert_event =
    "INSERT OR IGNORE INTO alert_event (incident_id, ordinal, dedup_key, pipeline, stage, rule, rule_hash, key, from_state, "
    "to_state, "
    "level_from, level_to, reason, opens, event_ms, wall_ms, value, threshold, window_kind, window_start_ms, window_end_ms, "
    "samples, "
    "aggregates_json, labels_json, message, actor, comment, suppressed_by, run_id) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

constexpr const char* replace_state =
    "INSERT OR REPLACE INTO alert_state (pipeline, stage, rule, key, rule_hash, state, level, since_json, incident_id, "
    "opening, events, "
    "lower_since_ms, last_eval_ms, last_seen_ms, acked_by, acked_ms, last_notified_ms, owed, flaps_json, extra) "
    "VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)";

constexpr const char* insert_notification =
    "INSERT OR IGNORE INTO notification (id, pipeline, stage, link, incident_id, event_seq, rule, key, level, type, quiet, "
    "created_ms, "
    "settled_ms, body) "
    "VALUES (?1,?2,?3,?4,?5,(SELECT seq FROM alert_event WHERE incident_id=?5 AND ordinal=?6),?7,?8,?9,?10,?11,?12,?13,?14)";

constexpr const char* insert_delivery =
    "INSERT OR IGNORE INTO push_delivery (id, notification_id, pipeline, stage, target, target_index, status, attempts, "
    "created_ms, "
    "next_try_ms, delivered_ms, error, body) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)";

constexpr const char* update_delivery =
    "UPDATE push_delivery SET status=?, attempts=?, next_try_ms=?, delivered_ms=?, error=? WHERE id=?";

// Binds one value after another to a statement; texts are not copied and must live until run().
class Binding {
 public:
  explicit Binding(SQLite::Statement& statement) : statement_(statement) {}

  Binding& text(const std::string& value) {
    statement_.bindNoCopy(++index_, value);
    return *this;
  }
  /// An empty text is NULL.
  Binding& optional_text(const std::string& value) {
    if (value.empty()) return null();
    return text(value);
  }
  Binding& blob(const std::string& value) {
    statement_.bindNoCopy(++index_, value.data(), static_cast<int>(value.size()));
    return *this;
  }
  Binding& literal(std::string_view value) {
    statement_.bind(++index_, std::string(value));
    return *this;
  }
  template <class Integer>
  Binding& integer(Integer value) {
    statement_.bind(++index_, static_cast<std::int64_t>(value));
    return *this;
  }
  Binding& integer(const std::optional<std::int64_t>& value) { return value ? integer(*value) : null(); }
  Binding& real(const std::optional<double>& value) {
    if (!value) return null();
    statement_.bind(++index_, *value);
    return *this;
  }
  Binding& null() {
    statement_.bind(++index_);
    return *this;
  }
  void run() {
    // Reset on every way out: a statement left stepping would hold its transaction open.
    struct Reset {
      SQLite::Statement& statement;
      ~Reset() { statement.tryReset(); }
    } reset{statement_};
    statement_.exec();
  }

 private:
  SQLite::Statement& statement_;
  int index_ = 0;
};

}  // namespace

struct HistoryWriter::Statements {
  explicit Statements(SQLite::Database& database)
      : begin(database, "BEGIN IMMEDIATE"),
        commit(database, "COMMIT"),
        event(database, insert_event),
        state(database, replace_state),
        remove_state(database, "DELETE FROM alert_state WHERE pipeline=? AND stage=? AND rule=? AND key=?"),
        notification(database, insert_notification),
        settle(database, "UPDATE notification SET settled_ms=? WHERE id=? AND settled_ms IS NULL"),
        delivery(database, insert_delivery),
        delivery_update(database, update_delivery),
        snapshot(database, "INSERT OR REPLACE INTO stage_snapshot (pipeline, stage, name, wall_ms, data) VALUES (?,?,?,?,?)"),
        remove_snapshot(database, "DELETE FROM stage_snapshot WHERE pipeline=? AND stage=? AND name=?"),
        letter(database, "INSERT INTO dead_letter (pipeline, stage, wall_ms, device, record_json, error) VALUES (?,?,?,?,?,?)"),
        trim_letters(database,
                     "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE pipeline=? AND stage=? ORDER BY id "
                     "LIMIT ?)") {}

  SQLite::Statement begin, commit, event, state, remove_state, notification, settle, delivery, delivery_update, snapshot,
      remove_snapshot, letter, trim_letters;
};

HistoryWriter::HistoryWriter(SQLite::Database& database, std::size_t dead_letters_per_stage)
    : database_(database),
      statements_(std::make_unique<Statements>(database)),
      dead_letters_per_stage_(dead_letters_per_stage) {
  count_dead_letters();
}

HistoryWriter::~HistoryWriter() = default;

void HistoryWriter::count_dead_letters() {
  dead_letters_.clear();
  SQLite::Statement counts(database_, "SELECT pipeline, stage, count(*) FROM dead_letter GROUP BY pipeline, stage");
  while (counts.executeStep())
    dead_letters_[{counts.getColumn(0).getString(), counts.getColumn(1).getString()}] =
        static_cast<std::size_t>(counts.getColumn(2).getInt64());
}

void HistoryWriter::begin() { Binding(statements_->begin).run(); }

void HistoryWriter::commit() { Binding(statements_->commit).run(); }

void HistoryWriter::rollback() noexcept {
  // SQLite has already rolled back by itself after some errors, as a full disk.
  if (sqlite3_get_autocommit(database_.getHandle()) == 0)
    sqlite3_exec(database_.getHandle(), "ROLLBACK", nullptr, nullptr, nullptr);
  try {
    count_dead_letters();
  } catch (const SQLite::Exception&) {
    // The disk cannot even be read: the counts stay as they were, and at worst a stage keeps a few letters more or fewer.
  }
}

std::size_t HistoryWriter::write(const Commit& commit) {
  for (const Event& event : commit.events) write(commit, event);
  for (const State& state : commit.states) write(commit, state);
  for (const StateKey& removed : commit.removed_states)
    Binding(statements_->remove_state).text(commit.pipeline).text(commit.stage).text(removed.rule).text(removed.key).run();
  for (const Notification& notification : commit.notifications) write(commit, notification);
  for (const Delivery& delivery : commit.deliveries) write(commit, delivery);
  for (const std::string& id : commit.settled_notifications)
    Binding(statements_->settle).integer(commit.wall_ms).text(id).run();
  for (const DeliveryUpdate& update : commit.delivery_updates)
    Binding(statements_->delivery_update)
        .literal(name_of(update.status))
        .integer(update.attempts)
        .integer(update.next_try_ms)
        .integer(update.delivered_ms)
        .optional_text(update.error)
        .text(update.id)
        .run();
  for (const Snapshot& snapshot : commit.snapshots) write(commit, snapshot);
  return commit.events.size() + commit.states.size() + commit.removed_states.size() + commit.notifications.size() +
         commit.deliveries.size() + commit.settled_notifications.size() + commit.delivery_updates.size() +
         commit.snapshots.size();
}

void HistoryWriter::write(const Commit& commit, const Event& event) {
  assert(!event.incident_id.empty() && "an event without an incident could not be told from its own repetition");
  const std::string dedup = dedup_key(commit.pipeline, commit.stage, event.rule, event.key);
  Binding(statements_->event)
      .text(event.incident_id)
      .integer(event.ordinal)
      .text(dedup)
      .text(commit.pipeline)
      .text(commit.stage)
      .text(event.rule)
      .optional_text(event.rule_hash)
      .text(event.key)
      .text(event.from_state)
      .text(event.to_state)
      .optional_text(event.level_from)
      .optional_text(event.level_to)
      .text(event.reason)
      .integer(event.opens)
      .integer(event.event_ms)
      .integer(event.wall_ms)
      .real(event.value)
      .real(event.threshold)
      .optional_text(event.window_kind)
      .integer(event.window_start_ms)
      .integer(event.window_end_ms)
      .integer(event.samples)
      .optional_text(event.aggregates_json)
      .optional_text(event.labels_json)
      .optional_text(event.message)
      .optional_text(event.actor)
      .optional_text(event.comment)
      .optional_text(event.suppressed_by)
      .optional_text(event.run_id)
      .run();
}

void HistoryWriter::write(const Commit& commit, const State& state) {
  Binding row(statements_->state);
  row.text(commit.pipeline)
      .text(commit.stage)
      .text(state.rule)
      .text(state.key)
      .optional_text(state.rule_hash)
      .text(state.state)
      .optional_text(state.level)
      .optional_text(state.since_json)
      .optional_text(state.incident_id)
      .integer(state.opening)
      .integer(state.events)
      .integer(state.lower_since_ms)
      .integer(state.last_eval_ms)
      .integer(state.last_seen_ms)
      .optional_text(state.acked_by)
      .integer(state.acked_ms)
      .integer(state.last_notified_ms)
      .optional_text(state.owed)
      .optional_text(state.flaps_json);
  state.extra.empty() ? row.null() : row.blob(state.extra);
  row.run();
}

void HistoryWriter::write(const Commit& commit, const Notification& notification) {
  Binding(statements_->notification)
      .text(notification.id)
      .text(commit.pipeline)
      .text(commit.stage)
      .text(notification.link)
      .text(notification.incident_id)
      .integer(notification.event_ordinal)
      .text(notification.rule)
      .text(notification.key)
      .optional_text(notification.level)
      .text(notification.type)
      .integer(notification.quiet)
      .integer(notification.created_ms)
      .integer(notification.settled_ms)
      .optional_text(notification.body)
      .run();
}

void HistoryWriter::write(const Commit& commit, const Delivery& delivery) {
  Binding(statements_->delivery)
      .text(delivery.id)
      .text(delivery.notification_id)
      .text(commit.pipeline)
      .text(commit.stage)
      .text(delivery.target)
      .integer(delivery.target_index)
      .literal(name_of(delivery.status))
      .integer(delivery.attempts)
      .integer(delivery.created_ms)
      .integer(delivery.next_try_ms)
      .integer(delivery.delivered_ms)
      .optional_text(delivery.error)
      .optional_text(delivery.body)
      .run();
}

void HistoryWriter::write(const Commit& commit, const Snapshot& snapshot) {
  if (!snapshot.data) {
    Binding(statements_->remove_snapshot).text(commit.pipeline).text(commit.stage).text(snapshot.name).run();
    return;
  }
  Binding(statements_->snapshot)
      .text(commit.pipeline)
      .text(commit.stage)
      .text(snapshot.name)
      .integer(commit.wall_ms)
      .blob(*snapshot.data)
      .run();
}

std::size_t HistoryWriter::write(const DeadLetter& letter) {
  Binding(statements_->letter)
      .text(letter.pipeline)
      .text(letter.stage)
      .integer(letter.wall_ms)
      .optional_text(letter.device)
      .text(letter.record_json)
      .text(letter.error)
      .run();
  std::size_t& count = dead_letters_[{letter.pipeline, letter.stage}];
  ++count;
  if (count <= dead_letters_per_stage_) return 0;
  std::size_t surplus = count - dead_letters_per_stage_;
  Binding(statements_->trim_letters).text(letter.pipeline).text(letter.stage).integer(surplus).run();
  count = dead_letters_per_stage_;
  return surplus;
}

}  // namespace millrace::store
