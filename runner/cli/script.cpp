#include "runner/cli/script.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "runner/config/values.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

/// Milliseconds, with a fraction, as a Time.
std::optional<Time> time_of(const Value* value) {
  std::optional<double> millis = value ? value->number() : std::nullopt;
  if (!millis || !std::isfinite(*millis) || std::abs(*millis) > 9e12) return std::nullopt;
  if (value->type() == Type::integer) return from_millis(value->as_integer());
  return Time(Duration(std::llround(*millis * 1000)));
}

std::string text_of(const FieldList& fields, std::string_view name) {
  const Value* value = fields.find(name);
  return value && value->type() == Type::string ? std::string(value->as_text()) : std::string{};
}

template <class T>
Result<ScriptItem> control(const Value* at, T what) {
  auto time = time_of(at);
  if (!time) return invalid("a control needs its time in milliseconds");
  ScriptItem item;
  item.at = *time;
  item.what = std::move(what);
  return item;
}

FieldList members(const Value& value) {
  if (value.type() != Type::object) return {};
  std::span<const Field> fields = value.as_object();
  // Only looked at, as the list promises where nobody pushes.
  return FieldList::adopt(const_cast<Field*>(fields.data()), fields.size(), fields.size());
}

/// The time called `name`, or `otherwise` where there is none.
Result<Time> time_or(const FieldList& fields, std::string_view name, std::optional<Time> otherwise) {
  const Value* value = fields.find(name);
  if (!value && otherwise) return *otherwise;
  auto time = time_of(value);
  if (!time) return invalid(fmt::format("a control needs \"{}\", in milliseconds", name));
  return *time;
}

Silence silence_of(const FieldList& fields) {
  Silence silence;
  silence.id = text_of(fields, "id");
  silence.rule = text_of(fields, "rule");
  silence.key = text_of(fields, "key");
  silence.by = text_of(fields, "by");
  silence.comment = text_of(fields, "comment");
  return silence;
}

Result<ScriptItem> silence_item(const FieldList& line, const FieldList& asked) {
  Result<Time> at = time_or(asked, "at", time_of(line.find("at")));
  if (!at) return at.error();
  Result<Time> from = time_or(asked, "from", *at), to = time_or(asked, "to", std::nullopt);
  if (!from) return from.error();
  if (!to) return to.error();
  ScriptItem::Silence what{silence_of(asked)};
  what.silence.from = *from;
  what.silence.to = *to;
  return ScriptItem{*at, std::move(what)};
}

Result<ScriptItem> unsilence_item(const FieldList& line, const Value& value) {
  FieldList asked = members(value);
  Result<Time> at = time_or(asked, "at", time_of(line.find("at")));
  if (!at) return at.error();
  ScriptItem::Unsilence what{silence_of(asked)};
  if (value.type() == Type::string) what.which.id = value.as_text();
  return ScriptItem{*at, std::move(what)};
}

Result<ScriptItem::Restart> restart_of(Time down, Time up, std::string_view windows) {
  using Windows = supervise::VirtualRun::Windows;
  if (windows == "lost") return ScriptItem::Restart{down, up, Windows::lost};
  if (windows.empty() || windows == "kept") return ScriptItem::Restart{down, up, Windows::kept};
  return invalid(fmt::format("the windows of a restart are kept or lost, not '{}'", windows));
}

Result<ScriptItem> restart_item(const FieldList& asked) {
  Result<Time> down = time_or(asked, "down", std::nullopt), up = time_or(asked, "up", std::nullopt);
  if (!down) return down.error();
  if (!up) return up.error();
  auto what = restart_of(*down, *up, text_of(asked, "windows"));
  if (!what) return what.error();
  return ScriptItem{*down, *what};
}

/// The record of a line as the hub's clients receive it.
Result<ScriptItem> record_item(Batch batch) {
  Record& record = batch.records.front();
  FieldList line = record.fields;
  const Value* fields = line.find("fields");
  if (!fields || fields->type() != Type::object) return invalid("neither a record (with \"fields\", an object) nor a control");
  auto time = time_of(line.find("time"));
  if (!time) return invalid("a record needs its \"time\" in milliseconds");
  record.fields = {};
  for (const Field& f : fields->as_object()) record.fields.push(batch.arena(), f.name, f.value);
  record.time = *time;
  record.arrival = time_of(line.find("arrival")).value_or(*time);
  if (const Value* device = line.find("device"); device && device->type() == Type::string) record.device = device->as_text();
  if (const Value* kind = line.find("kind"); kind && kind->type() == Type::string) record.kind = kind->as_text();
  ScriptItem item;
  item.at = record.arrival;
  item.what = ScriptItem::Records{std::move(batch), {}};
  return item;
}

Value scalar_value(const config::Node& node, Arena& arena) {
  const std::string& text = node.text;
  if (node.quoted) return Value::string(arena.copy(text));
  if (text == "true" || text == "false") return Value::boolean(text == "true");
  std::int64_t integer = 0;
  auto [after_integer, integer_error] = std::from_chars(text.data(), text.data() + text.size(), integer);
  if (integer_error == std::errc{} && after_integer == text.data() + text.size()) return Value::integer(integer);
  double real = 0;
  auto [after_real, real_error] = std::from_chars(text.data(), text.data() + text.size(), real);
  if (real_error == std::errc{} && after_real == text.data() + text.size()) return Value::real(real);
  return Value::string(arena.copy(text));
}

Result<Duration> duration_of(const config::Node* node, std::string_view name = "at") {
  if (!node || !node->is_scalar()) return invalid(fmt::format("'{}' is missing: a duration from the start, such as 20s", name));
  auto duration = config::parse_duration(node->text);
  if (!duration) return invalid(fmt::format("'{}': expected {}", name, duration.error().what));
  return *duration;
}

/// A control whose members may stand beside its name as well as under it.
class Asked {
 public:
  Asked(const config::Node& entry, std::string_view name, Time start)
      : entry_(entry), under_(*entry.find(name)), start_(start) {}

  const config::Node* find(std::string_view name) const {
    const config::Node* found = under_.is_map() ? under_.find(name) : nullptr;
    return found ? found : entry_.find(name);
  }
  std::string text(std::string_view name) const {
    const config::Node* found = find(name);
    return found && found->is_scalar() ? found->text : std::string{};
  }
  Result<Time> time(std::string_view name, std::string_view otherwise = "") const {
    bool given = otherwise.empty() || find(name);
    auto after = duration_of(find(given ? name : otherwise), given ? name : otherwise);
    if (!after) return after.error();
    return start_ + *after;
  }
  Silence silence() const {
    Silence silence{text("id"), text("rule"), text("key"), {}, {}, text("by"), text("comment")};
    if (under_.is_scalar() && under_.text != "true") silence.id = under_.text;
    return silence;
  }

 private:
  const config::Node& entry_;
  const config::Node& under_;
  Time start_;
};

Result<ScriptItem> silence_item(const Asked& asked) {
  Result<Time> at = asked.time("at", "from"), from = asked.time("from", "at"), to = asked.time("to");
  if (!at) return at.error();
  if (!from) return from.error();
  if (!to) return to.error();
  ScriptItem::Silence what{asked.silence()};
  what.silence.from = *from;
  what.silence.to = *to;
  return ScriptItem{*at, std::move(what)};
}

Result<ScriptItem> unsilence_item(const Asked& asked) {
  Result<Time> at = asked.time("at");
  if (!at) return at.error();
  return ScriptItem{*at, ScriptItem::Unsilence{asked.silence()}};
}

Result<ScriptItem> restart_item(const Asked& asked) {
  Result<Time> down = asked.time("down", "at"), up = asked.time("up");
  if (!down) return down.error();
  if (!up) return up.error();
  auto what = restart_of(*down, *up, asked.text("windows"));
  if (!what) return what.error();
  return ScriptItem{*down, *what};
}

}  // namespace

Value value_of(const config::Node& node, Arena& arena) {
  switch (node.kind) {
    case config::Node::Kind::null: return Value::null();
    case config::Node::Kind::scalar: return scalar_value(node, arena);
    case config::Node::Kind::list: {
      Value* items = arena.allocate<Value>(node.items.size());
      for (std::size_t i = 0; i < node.items.size(); ++i) items[i] = value_of(node.items[i], arena);
      return Value::list({items, node.items.size()});
    }
    case config::Node::Kind::map: {
      Field* fields = arena.allocate<Field>(node.entries.size());
      for (std::size_t i = 0; i < node.entries.size(); ++i)
        fields[i] = {arena.copy(node.entries[i].key), value_of(node.entries[i].value, arena)};
      return Value::object({fields, node.entries.size()});
    }
  }
  return Value::null();
}

Result<ScriptItem> script_item(const config::Node& node, Time start) {
  if (!node.is_map()) return invalid("expected a map with 'at'");
  ScriptItem item;
  if (node.find("flush")) {
    item.what = ScriptItem::Flush{};
    return item;
  }
  if (!node.find("device")) {  // a device may well have a field of such a name
    if (node.find("silence")) return silence_item(Asked(node, "silence", start));
    if (node.find("unsilence")) return unsilence_item(Asked(node, "unsilence", start));
    if (node.find("restart")) return restart_item(Asked(node, "restart", start));
  }
  auto at = duration_of(node.find("at"));
  if (!at) return at.error();
  item.at = start + *at;
  auto text = [&](std::string_view key) {
    const config::Node* found = node.find(key);
    return found && found->is_scalar() ? found->text : std::string{};
  };
  if (node.find("tick")) {
    item.what = ScriptItem::Tick{};
    return item;
  }
  if (node.find("ack")) {
    item.what = ScriptItem::Acknowledge{text("ack"), text("rule"), text("by")};
    return item;
  }
  Batch batch;
  Arena& arena = batch.arena();
  Record& record = batch.append();
  record.device = arena.copy(text("device"));
  record.time = record.arrival = item.at;
  for (const config::Entry& entry : node.entries) {
    if (entry.key == "at" || entry.key == "device" || entry.key == "into") continue;
    record.fields.push(arena, arena.copy(entry.key), value_of(entry.value, arena));
  }
  item.what = ScriptItem::Records{std::move(batch), text("into")};
  return item;
}

Result<ScriptItem> script_item(std::string_view json_line) {
  Batch batch;
  JsonDecoder decoder;
  Result<std::size_t> decoded = decoder.decode(json_line, batch);
  if (!decoded) return decoded.error();
  if (*decoded != 1) return invalid("expected one object");
  const FieldList line = batch.records.front().fields;
  if (const Value* at = line.find("tick")) return control(at, ScriptItem::Tick{});
  if (const Value* at = line.find("start")) return control(at, ScriptItem::Tick{});
  if (line.find("flush")) {
    ScriptItem item;
    item.what = ScriptItem::Flush{};
    return item;
  }
  if (line.find("ack"))
    return control(line.find("at"), ScriptItem::Acknowledge{text_of(line, "ack"), text_of(line, "rule"), text_of(line, "by")});
  if (const Value* asked = line.find("silence")) return silence_item(line, members(*asked));
  if (const Value* asked = line.find("unsilence")) return unsilence_item(line, *asked);
  if (const Value* asked = line.find("restart")) return restart_item(members(*asked));
  return record_item(std::move(batch));
}

Result<void> apply(ScriptItem item, supervise::VirtualRun& run) {
  if (std::holds_alternative<ScriptItem::Flush>(item.what)) {
    run.finish();
    return {};
  }
  run.advance(item.at);
  if (auto* records = std::get_if<ScriptItem::Records>(&item.what)) return run.feed(std::move(records->batch), records->source);
  if (auto* ack = std::get_if<ScriptItem::Acknowledge>(&item.what)) return run.acknowledge(ack->key, ack->rule, ack->by);
  if (auto* asked = std::get_if<ScriptItem::Silence>(&item.what)) return run.silence(asked->silence);
  if (auto* asked = std::get_if<ScriptItem::Unsilence>(&item.what)) return run.unsilence(asked->which);
  if (auto* lost = std::get_if<ScriptItem::Restart>(&item.what)) return run.restart(lost->down, lost->up, lost->windows);
  run.tick();
  return {};
}

}  // namespace millrace::cli
