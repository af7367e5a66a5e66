#include "runner/cli/script_fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

#include "runner/cli/script.h"

namespace millrace::cli {
namespace {

constexpr std::array<std::string_view, 9> controls{"start",     "tick",    "flush",  "ack",   "silence",
                                                   "unsilence", "restart", "outage", "reload"};

/// Members of records and controls whose value is a text, whatever it looks like.
constexpr std::array<std::string_view, 13> texts{"device", "into", "kind",    "ack",     "key",       "rule",  "by",
                                                 "id",     "sink", "windows", "comment", "unsilence", "reload"};

bool among(std::string_view name, const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); }

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

Value member_value(const config::Node& node, bool text, Arena& arena) {
  return text && node.is_scalar() ? Value::string(arena.copy(node.text)) : value_of(node, arena);
}

Value texts_under(const config::Node& node, Arena& arena) {
  Field* fields = arena.allocate<Field>(node.entries.size());
  for (std::size_t i = 0; i < node.entries.size(); ++i) {
    const config::Entry& entry = node.entries[i];
    fields[i] = {arena.copy(entry.key), member_value(entry.value, among(entry.key, texts), arena)};
  }
  return Value::object({fields, node.entries.size()});
}

}  // namespace

ScriptShape shape_of(const FieldList& input) {
  const Value* fields = input.find("fields");
  bool at = input.find("at"), time = input.find("time");
  if (fields && fields->type() == Type::object && (at || time)) return {ScriptShape::Kind::record, {}};
  const bool device = input.find("device");
  if (device && (at || time)) return {at ? ScriptShape::Kind::short_record : ScriptShape::Kind::record, {}};
  for (const Field& field : input)
    if (auto found = std::find(controls.begin(), controls.end(), field.name); found != controls.end())
      return {ScriptShape::Kind::control, *found};
  if (at) return {ScriptShape::Kind::short_record, {}};
  if (fields || time) return {ScriptShape::Kind::record, {}};
  return device ? ScriptShape{ScriptShape::Kind::short_record, {}} : ScriptShape{};
}

std::string no_shape(const FieldList& input) {
  std::string text = "neither a record (time, device, fields; or at, device and readings) nor a control (";
  for (std::string_view name : controls) text += std::string(name) + (name == controls.back() ? ")" : ", ");
  if (!input.empty()) text += config::did_you_mean(input[0].name, {controls.begin(), controls.end()});
  return text;
}

FieldList script_fields(const config::Node& node, Arena& arena) {
  FieldList plain;
  for (const config::Entry& entry : node.entries) plain.push(arena, arena.copy(entry.key), value_of(entry.value, arena));
  ScriptShape shape = shape_of(plain);
  FieldList fields;
  for (const config::Entry& entry : node.entries) {
    bool text =
        shape.kind == ScriptShape::Kind::short_record ? entry.key == "device" || entry.key == "into" : among(entry.key, texts);
    bool under = shape.kind == ScriptShape::Kind::control && entry.key == shape.control && entry.value.is_map();
    fields.push(arena, arena.copy(entry.key), under ? texts_under(entry.value, arena) : member_value(entry.value, text, arena));
  }
  return fields;
}

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

}  // namespace millrace::cli
