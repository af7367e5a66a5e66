#include "plugins/alert/trace_rows.h"

#include <utility>

namespace millrace::alert {

namespace {

/// A row in the making; lives as long as one call.
class Row {
 public:
  Row& add(std::string_view name, Value value) {
    fields_.push(arena, name, value);
    return *this;
  }
  Row& add(std::string_view name, std::string_view text) { return add(name, Value::string(arena.copy(text))); }
  Row& millis(std::string_view name, Micros time) {
    if (time % 1000 == 0) return add(name, Value::integer(time / 1000));
    return add(name, Value::real(static_cast<double>(time) / 1000.0));
  }
  Row& number(std::string_view name, double value) { return add(name, is_null(value) ? Value::null() : Value::real(value)); }
  Row& list(std::string_view name, const std::vector<std::string>& keys) {
    Value* items = arena.allocate<Value>(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) items[i] = Value::string(arena.copy(keys[i]));
    return add(name, Value::list({items, keys.size()}));
  }
  void tell(Trace& trace, std::string_view stage, std::string_view kind) const { trace.happened(stage, kind, fields_.view()); }

  Arena arena;

 private:
  FieldList fields_;
};

}  // namespace

Value TraceRows::incident(Arena& arena, const RulePlan& rule, std::string_view key, std::uint64_t opening) const {
  if (opening == 0) return Value::integer(0);
  return Value::string(arena.copy(telling_.incident(rule, key, opening)));
}

void TraceRows::record(std::string_view key, Micros time, Micros arrival, const Admission& admission) {
  Row row;
  row.millis("ts_ms", time).millis("arrival_ms", arrival).add("key", key).add("outcome", name_of(admission.outcome));
  if (admission.why != Why::fine) row.add("why", name_of(admission.why));
  if (admission.outcome != Outcome::dropped) row.millis("system_ms", admission.time);
  row.tell(trace_, telling_.stage(), "record");
}

void TraceRows::derived(const RulePlan& rule, std::string_view key, Micros time, double value) {
  Row row;
  row.add("rule", rule.name).add("key", key).millis("t_ms", time).number("value", value);
  row.tell(trace_, telling_.stage(), "derived");
}

void TraceRows::window(const RulePlan& rule, std::string_view key, const WindowRow& window) {
  Row row;
  row.add("rule", rule.name).add("key", key).millis("start_ms", window.window.start).millis("end_ms", window.window.end);
  row.millis("fired_at_ms", window.fired_at);
  if (window.window.closed_by != ClosedBy::nothing) row.add("closed_by", name_of(window.window.closed_by));
  if (window.window.partial) row.add("partial", Value::boolean(true));
  if (double error = window.window.contents->relative_error(); error > 0) row.number("relative_error", error);
  for (std::size_t i = 0; i < rule.aggregates.size(); ++i) row.number(rule.aggregates[i].name, window.figures[i]);
  row.tell(trace_, telling_.stage(), "window");
}

void TraceRows::change(const RulePlan& rule, std::string_view key, const Change& change, const Cause&, Micros) {
  Row row;
  row.add("rule", rule.name)
      .add("key", key)
      .add("from", name_of(change.from))
      .add("to", name_of(change.to))
      .millis("at_ms", change.at);
  row.add("level", telling_.level_name(rule, change.level)).add("reason", text_of(change.reason, change.by));
  row.add("incident", incident(row.arena, rule, key, change.opening));
  row.tell(trace_, telling_.stage(), "transition");
}

void TraceRows::notice(const RulePlan& rule, std::string_view key, const Notice& notice, const Change&, const Cause&,
                       Micros now) {
  Row row;
  row.millis("at_ms", now).add("type", name_of(notice.type)).add("rule", rule.name).add("key", key);
  row.add("level", telling_.level_name(rule, notice.level)).add("incident", incident(row.arena, rule, key, notice.opening));
  if (notice.quiet) row.add("quiet", Value::boolean(true));
  row.tell(trace_, telling_.stage(), "notification");
}

void TraceRows::notice(const RulePlan& rule, const GroupNotice& notice, Micros now) {
  Row row;
  row.millis("at_ms", now)
      .add("type", name_of(notice.type))
      .add("rule", rule.name)
      .add("group", notice.group)
      .list("firing", notice.firing)
      .list("resolved", notice.resolved);
  row.tell(trace_, telling_.stage(), "notification");
}

}  // namespace millrace::alert
