#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "runner/store/history.h"

namespace millrace::store {

// The columns of every table, each declared once, in one order for writing and reading. A visitor is shown a row's columns:
// `text` is never NULL, an empty
// `optional_text` or `blob` is; `owner` are the columns pipeline and stage.

template <class Row, class Table>
concept RowOf = std::same_as<std::remove_const_t<Row>, Table>;

template <class Visitor, RowOf<Event> Row>
void visit(Visitor&& v, Row& e) {
  v.text("incident_id", e.incident_id);
  v.integer("ordinal", e.ordinal);
  v.owner(e);
  v.text("rule", e.rule);
  v.optional_text("rule_hash", e.rule_hash);
  v.text("key", e.key);
  v.text("from_state", e.from_state);
  v.text("to_state", e.to_state);
  v.optional_text("level_from", e.level_from);
  v.optional_text("level_to", e.level_to);
  v.text("reason", e.reason);
  v.integer("opens", e.opens);
  v.integer("event_ms", e.event_ms);
  v.integer("wall_ms", e.wall_ms);
  v.real("value", e.value);
  v.real("threshold", e.threshold);
  v.optional_text("window_kind", e.window_kind);
  v.integer("window_start_ms", e.window_start_ms);
  v.integer("window_end_ms", e.window_end_ms);
  v.integer("samples", e.samples);
  v.optional_text("aggregates_json", e.aggregates_json);
  v.optional_text("labels_json", e.labels_json);
  v.optional_text("message", e.message);
  v.optional_text("actor", e.actor);
  v.optional_text("comment", e.comment);
  v.optional_text("suppressed_by", e.suppressed_by);
  v.run_id("run_id", e.run_id);
}

template <class Visitor, RowOf<State> Row>
void visit(Visitor&& v, Row& s) {
  v.owner(s);
  v.text("rule", s.rule);
  v.text("key", s.key);
  v.optional_text("rule_hash", s.rule_hash);
  v.text("state", s.state);
  v.optional_text("level", s.level);
  v.optional_text("since_json", s.since_json);
  v.optional_text("incident_id", s.incident_id);
  v.integer("opening", s.opening);
  v.integer("events", s.events);
  v.integer("lower_since_ms", s.lower_since_ms);
  v.integer("last_eval_ms", s.last_eval_ms);
  v.integer("last_seen_ms", s.last_seen_ms);
  v.optional_text("acked_by", s.acked_by);
  v.integer("acked_ms", s.acked_ms);
  v.integer("last_notified_ms", s.last_notified_ms);
  v.optional_text("owed", s.owed);
  v.optional_text("flaps_json", s.flaps_json);
  v.blob("extra", s.extra);
}

/// Without event_seq, which stands for the event's ordinal and takes a look into alert_event.
template <class Visitor, RowOf<Notification> Row>
void visit(Visitor&& v, Row& n) {
  v.text("id", n.id);
  v.owner(n);
  v.text("link", n.link);
  v.text("incident_id", n.incident_id);
  v.text("rule", n.rule);
  v.text("key", n.key);
  v.optional_text("level", n.level);
  v.text("type", n.type);
  v.integer("quiet", n.quiet);
  v.integer("created_ms", n.created_ms);
  v.integer("settled_ms", n.settled_ms);
  v.optional_text("body", n.body);
}

template <class Visitor, RowOf<Delivery> Row>
void visit(Visitor&& v, Row& d) {
  v.text("id", d.id);
  v.text("notification_id", d.notification_id);
  v.owner(d);
  v.text("target", d.target);
  v.integer("target_index", d.target_index);
  v.status("status", d.status);
  v.integer("attempts", d.attempts);
  v.integer("created_ms", d.created_ms);
  v.integer("next_try_ms", d.next_try_ms);
  v.integer("delivered_ms", d.delivered_ms);
  v.optional_text("error", d.error);
  v.optional_text("body", d.body);
}

/// Without matchers_json, which is made of rule and key.
template <class Visitor, RowOf<Silence> Row>
void visit(Visitor&& v, Row& s) {
  v.owner(s);
  v.text("id", s.id);
  v.integer("from_ms", s.from_ms);
  v.integer("to_ms", s.to_ms);
  v.optional_text("author", s.author);
  v.optional_text("comment", s.comment);
  v.integer("created_ms", s.created_ms);
  v.integer("ended_ms", s.ended_ms);
}

template <class Visitor, RowOf<DeadLetter> Row>
void visit(Visitor&& v, Row& l) {
  v.owner(l);
  v.integer("wall_ms", l.wall_ms);
  v.optional_text("device", l.device);
  v.text("record_json", l.record_json);
  v.text("error", l.error);
}

/// The names of a row's columns, joined by commas; each behind `prefix`.
class ColumnNames {
 public:
  explicit ColumnNames(std::string prefix = {}) : prefix_(std::move(prefix)) {}

  template <class T>
  void text(const char* name, T&) {
    add(name);
  }
  template <class T>
  void optional_text(const char* name, T&) {
    add(name);
  }
  template <class T>
  void integer(const char* name, T&) {
    add(name);
  }
  template <class T>
  void real(const char* name, T&) {
    add(name);
  }
  template <class T>
  void blob(const char* name, T&) {
    add(name);
  }
  template <class T>
  void status(const char* name, T&) {
    add(name);
  }
  template <class T>
  void run_id(const char* name, T&) {
    add(name);
  }
  template <class T>
  void owner(T&) {
    add("pipeline");
    add("stage");
  }

  const std::string& list() const { return list_; }

  /// As many parameters: "?,?,?".
  const std::string& parameters() const { return parameters_; }

 private:
  void add(const char* name) {
    if (!list_.empty()) {
      list_ += ", ";
      parameters_ += ',';
    }
    list_ += prefix_;
    list_ += name;
    parameters_ += '?';
  }

  std::string prefix_, list_, parameters_;
};

template <class Row>
ColumnNames columns_of(std::string prefix = {}) {
  ColumnNames columns(std::move(prefix));
  Row row;
  visit(columns, row);
  return columns;
}

}  // namespace millrace::store
