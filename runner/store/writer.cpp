#include "runner/store/writer.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/core.h>
#include <sqlite3.h>

#include <cassert>
#include <optional>
#include <string_view>

#include "runner/stage/json.h"
#include "runner/store/columns.h"

namespace millrace::store {
namespace {

// Writes the columns of a row; `further` columns come behind them, given by the expressions `values`.
template <class Row>
std::string insert(std::string_view verb, std::string_view table, std::string_view further = {}, std::string_view values = {}) {
  const ColumnNames columns = columns_of<Row>();
  return fmt::format("{} INTO {} ({}{}) VALUES ({}{})", verb, table, columns.list(), further, columns.parameters(), values);
}

// Binds one value after another to a statement, as a visitor of columns.h or called with the names left out. Texts are not
// copied and must live until run().
class Binding {
 public:
  explicit Binding(SQLite::Statement& statement, const Commit* commit = nullptr, const std::string* run = nullptr)
      : statement_(statement), commit_(commit), run_(run) {}

  Binding& text(const std::string& value) {
    statement_.bindNoCopy(++index_, value);
    return *this;
  }
  /// An empty text is NULL.
  Binding& optional_text(const std::string& value) { return value.empty() ? null() : text(value); }
  Binding& blob(const std::string& value) {
    statement_.bindNoCopy(++index_, value.data(), static_cast<int>(value.size()));
    return *this;
  }
  template <class Integer>
  Binding& integer(Integer value) {
    statement_.bind(++index_, static_cast<std::int64_t>(value));
    return *this;
  }
  Binding& integer(const std::optional<std::int64_t>& value) { return value ? integer(*value) : null(); }
  Binding& status(DeliveryStatus value) {
    statement_.bind(++index_, std::string(name_of(value)));
    return *this;
  }
  Binding& null() {
    statement_.bind(++index_);
    return *this;
  }

  void text(const char*, const std::string& value) { text(value); }
  void optional_text(const char*, const std::string& value) { optional_text(value); }
  void blob(const char*, const std::string& value) { value.empty() ? null() : blob(value); }
  template <class Integer>
  void integer(const char*, const Integer& value) {
    integer(value);
  }
  void real(const char*, const std::optional<double>& value) {
    value ? statement_.bind(++index_, *value) : statement_.bind(++index_);
  }
  void status(const char*, DeliveryStatus value) { status(value); }
  void run_id(const char*, const std::string& value) { optional_text(value.empty() && run_ ? *run_ : value); }
  template <class Row>
  void owner(const Row& row) {
    text(commit_ ? commit_->pipeline : row.pipeline);
    text(commit_ ? commit_->stage : row.stage);
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
  const Commit* commit_;
  const std::string* run_;
  int index_ = 0;
};

std::string matchers_json(const Silence& silence) {
  std::string json = "{";
  auto add = [&json](std::string_view name, const std::string& wanted) {
    if (wanted.empty()) return;
    json += fmt::format("{}\"{}\":", json.size() > 1 ? "," : "", name);
    append_json_string(json, wanted);
  };
  add("rule", silence.rule);
  add("key", silence.key);
  if (silence.once) json += json.size() > 1 ? R"(,"once":true)" : R"("once":true)";
  if (silence.labels.empty()) return json + "}";
  json += json.size() > 1 ? R"(,"labels":{)" : R"("labels":{)";
  for (const auto& [name, wanted] : silence.labels) {
    if (json.back() != '{') json += ',';
    append_json_string(json, name);
    json += ':';
    append_json_string(json, wanted);
  }
  return json + "}}";
}

}  // namespace

struct HistoryWriter::Statements {
  explicit Statements(SQLite::Database& database)
      : begin(database, "BEGIN IMMEDIATE"),
        commit(database, "COMMIT"),
        event(database, insert<Event>("INSERT OR IGNORE", "alert_event", ", dedup_key", ",?")),
        state(database, insert<State>("INSERT OR REPLACE", "alert_state")),
        remove_state(database, "DELETE FROM alert_state WHERE pipeline=? AND stage=? AND rule=? AND key=?"),
        notification(database, insert<Notification>("INSERT OR IGNORE", "notification", ", event_seq",
                                                    ",(SELECT seq FROM alert_event WHERE incident_id=? AND ordinal=?)")),
        settle(database, "UPDATE notification SET settled_ms=? WHERE id=? AND settled_ms IS NULL"),
        delivery(database, insert<Delivery>("INSERT OR IGNORE", "push_delivery")),
        delivery_update(database,
                        "UPDATE push_delivery SET status=?, attempts=?, next_try_ms=?, delivered_ms=?, error=? WHERE id=?"),
        snapshot(database, "INSERT OR REPLACE INTO stage_snapshot (pipeline, stage, name, wall_ms, data) VALUES (?,?,?,?,?)"),
        remove_snapshot(database, "DELETE FROM stage_snapshot WHERE pipeline=? AND stage=? AND name=?"),
        silence(database, insert<Silence>("INSERT OR REPLACE", "silence", ", matchers_json", ",?")),
        letter(database, insert<DeadLetter>("INSERT", "dead_letter")),
        trim_letters(database,
                     "DELETE FROM dead_letter WHERE id IN (SELECT id FROM dead_letter WHERE pipeline=? AND stage=? ORDER BY id "
                     "LIMIT ?)") {}

  SQLite::Statement begin, commit, event, state, remove_state, notification, settle, delivery, delivery_update, snapshot,
      remove_snapshot, silence, letter, trim_letters;
};

HistoryWriter::HistoryWriter(SQLite::Database& database, std::size_t dead_letters_per_stage)
    : database_(database),
      statements_(std::make_unique<Statements>(database)),
      dead_letters_per_stage_(dead_letters_per_stage) {
  count_dead_letters();
  SQLite::Statement starts(database_, "SELECT value FROM meta WHERE name = 'starts'");
  if (starts.executeStep()) run_id_ = starts.getColumn(0).getString();
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
        .status(update.status)
        .integer(update.attempts)
        .integer(update.next_try_ms)
        .integer(update.delivered_ms)
        .optional_text(update.error)
        .text(update.id)
        .run();
  for (const Snapshot& snapshot : commit.snapshots) write(commit, snapshot);
  for (const Silence& silence : commit.silences) write(commit, silence);
  return commit.events.size() + commit.states.size() + commit.removed_states.size() + commit.notifications.size() +
         commit.deliveries.size() + commit.settled_notifications.size() + commit.delivery_updates.size() +
         commit.snapshots.size() + commit.silences.size();
}

void HistoryWriter::write(const Commit& commit, const Event& event) {
  assert(!event.incident_id.empty() && "an event without an incident could not be told from its own repetition");
  const std::string dedup = dedup_key(commit.pipeline, commit.stage, event.rule, event.key);
  Binding row(statements_->event, &commit, &run_id_);
  visit(row, event);
  row.text(dedup).run();
}

void HistoryWriter::write(const Commit& commit, const State& state) {
  Binding row(statements_->state, &commit);
  visit(row, state);
  row.run();
}

void HistoryWriter::write(const Commit& commit, const Notification& notification) {
  Binding row(statements_->notification, &commit);
  visit(row, notification);
  row.text(notification.incident_id).integer(notification.event_ordinal).run();
}

void HistoryWriter::write(const Commit& commit, const Delivery& delivery) {
  Binding row(statements_->delivery, &commit);
  visit(row, delivery);
  row.run();
}

void HistoryWriter::write(const Commit& commit, const Silence& silence) {
  const std::string matchers = matchers_json(silence);
  Binding row(statements_->silence, &commit);
  visit(row, silence);
  row.text(matchers).run();
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
  Binding row(statements_->letter);
  visit(row, letter);
  row.run();
  std::size_t& count = dead_letters_[{letter.pipeline, letter.stage}];
  ++count;
  if (count <= dead_letters_per_stage_) return 0;
  std::size_t surplus = count - dead_letters_per_stage_;
  Binding(statements_->trim_letters).text(letter.pipeline).text(letter.stage).integer(surplus).run();
  count = dead_letters_per_stage_;
  return surplus;
}

}  // namespace millrace::store
