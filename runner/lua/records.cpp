#include "runner/lua/records.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <lua.hpp>
#include <string>

#include "runner/lua/values.h"

namespace millrace::lua {
namespace {

constexpr std::size_t kMaxNodes = 0xfff0;
constexpr std::size_t kLongScan = 32;  // fields that a look-up passes for the price of its call

std::string_view text_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* data = lua_tolstring(L, index, &size);
  return {data, size};
}

template <class Word>
bool same_ends(const char* a, const char* b, std::size_t size) {
  Word first[2];
  Word last[2];
  std::memcpy(&first[0], a, sizeof(Word));
  std::memcpy(&first[1], b, sizeof(Word));
  std::memcpy(&last[0], a + size - sizeof(Word), sizeof(Word));
  std::memcpy(&last[1], b + size - sizeof(Word), sizeof(Word));
  return first[0] == first[1] && last[0] == last[1];
}

/// Names are short, and a call of memcmp would cost more than the comparison.
inline bool equal(std::string_view a, std::string_view b) {
  const std::size_t size = a.size();
  if (size != b.size()) return false;
  if (size > 16) return std::memcmp(a.data(), b.data(), size) == 0;
  if (size >= 8) return same_ends<std::uint64_t>(a.data(), b.data(), size);
  if (size >= 4) return same_ends<std::uint32_t>(a.data(), b.data(), size);
  if (size >= 2) return same_ends<std::uint16_t>(a.data(), b.data(), size);
  return size == 0 || *a.data() == *b.data();
}

}  // namespace

Records::Records(Interpreter& interpreter) : interpreter_(interpreter) {
  interpreter.view = this;
  nodes_.resize(2);
  nodes_[kRecordNode].kind = Kind::record;
  nodes_[kMetaNode].kind = Kind::meta;
}

Result<void> Records::open() {
  lua_pushcfunction(interpreter_.state(), add_to_state);
  return interpreter_.call(0, 0);
}

int Records::add_to_state(lua_State* L) {
  open_values(L);

  const luaL_Reg events[] = {{"__index", index}, {"__newindex", new_index}, {"__len", length},
                             {"__pairs", pairs}, {"__tostring", to_string}, {nullptr, nullptr}};
  lua_pushlightuserdata(L, nullptr);
  // With its final size from the start the first events to go in keep the places that their look-up tries first.
  lua_createtable(L, 0, 32);
  luaL_setfuncs(L, events, 0);
  for (const char* event : {"__add", "__sub", "__mul", "__div", "__mod", "__pow", "__unm", "__idiv", "__band", "__bor",
                            "__bxor", "__shl", "__shr", "__bnot", "__concat", "__lt", "__le", "__call"}) {
    lua_pushstring(L, event + 2);
    lua_pushcclosure(L, refuse_operation, 1);
    lua_setfield(L, -2, event);
  }
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  lua_register(L, "Record", make_record);
  return 0;
}

void Records::use(Arena& arena, std::size_t start) {
  arena_ = &arena;
  arena_start_ = start;
  ++arena_serial_;
}

void Records::begin(Record* record) {
  ++call_;
  record_ = record;
  last_null_ = {};
  fields_touched_ = meta_touched_ = false;
  if (nodes_.size() > 2) nodes_.resize(2);
  nodes_[kRecordNode].record = nodes_[kMetaNode].record = record;
  nodes_[kRecordNode].emitted = false;
  if (!made_.empty()) made_.clear();
}

void Records::restore() {
  if (!record_) return;
  if (fields_touched_) {
    record_->fields.clear();
    for (const Field& f : original_fields_) record_->fields.push(*arena_, f.name, f.value);
  }
  if (!meta_touched_) return;
  record_->device = original_.device;
  record_->time = original_.time;
  record_->kind = original_.kind;
}

void Records::touch(const Node& node) {
  if (fields_touched_ || !record_ || node.record != record_) return;
  fields_touched_ = true;
  original_fields_.assign(record_->fields.begin(), record_->fields.end());
}

void Records::push_handle(lua_State* L, NodeId node) const { lua_pushlightuserdata(L, reinterpret_cast<void*>(handle(node))); }

Records::NodeId Records::node_at(lua_State* L, int index, const char* use) {
  if (lua_type(L, index) != LUA_TLIGHTUSERDATA) luaL_error(L, "cannot %s a %s value", use, luaL_typename(L, index));
  const auto bits = reinterpret_cast<std::uint64_t>(lua_touserdata(L, index));
  if (bits == 0) {
    if (last_null_.empty()) luaL_error(L, "cannot %s null", use);
    lua_pushlstring(L, last_null_.data(), last_null_.size());
    luaL_error(L, "cannot %s null (the field last read as null is '%s')", use, lua_tostring(L, -1));
  }
  const auto node = static_cast<NodeId>(bits & 0xffffU);
  if (bits >> 16U != call_ || node >= nodes_.size() || ((node <= kMetaNode) && !record_)) {
    luaL_error(L, "a record lives only during the call it was given to; keep the values you need in variables of your own");
  }
  return node;
}

Records::NodeId Records::new_node(lua_State* L, Kind kind) {
  if (nodes_.size() >= kMaxNodes)
    luaL_error(L, "too many nested values and new records in one call (%d)", static_cast<int>(kMaxNodes));
  interpreter_.budget().charge(L, 4);
  nodes_.emplace_back().kind = kind;
  return static_cast<NodeId>(nodes_.size() - 1);
}

std::span<Field> Records::fields_of(Node& node) {
  if (node.kind == Kind::record) return {node.record->fields.begin(), node.record->fields.end()};
  // Not written through unless own: storage shared with other values is never changed.
  std::span<const Field> view = node.value.as_object();
  return {const_cast<Field*>(view.data()), view.size()};
}

Field* Records::find(lua_State* L, std::span<Field> fields, const char* key, std::string_view name) {
  const Hint& hint = hint_of(key);
  if (hint.position < fields.size() && equal(fields[hint.position].name, name)) return &fields[hint.position];
  return scan(L, fields, key, name);
}

Field* Records::scan(lua_State* L, std::span<Field> fields, const char* key, std::string_view name) {
  if (fields.size() > kLongScan) interpreter_.budget().charge(L, fields.size() / 8);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!equal(fields[i].name, name)) continue;
    hint_of(key).position = static_cast<std::uint32_t>(i);
    return &fields[i];
  }
  return nullptr;
}

std::string_view Records::keep_name(lua_State* L, const char* key, std::string_view name) {
  Hint& hint = hint_of(key);
  if (hint.key == key && hint.arena_serial == arena_serial_ && equal(hint.name, name)) return hint.name;
  make_room(L, name.size());
  hint = {key, hint.position, arena_serial_, arena_->copy(name)};
  return hint.name;
}

void Records::make_room(lua_State* L, std::size_t bytes) {
  Budget& budget = interpreter_.budget();
  budget.charge(L, bytes / 16);
  if (arena_->used() - arena_start_ + bytes > budget.limits().memory) {
    luaL_error(L, "what the script writes into this batch's records has passed its memory (%I KiB)",
               static_cast<LUAI_UACINT>(budget.limits().memory / 1024));
  }
}

int Records::push_value(lua_State* L, const Value& value, NodeId parent, std::string_view name, std::uint32_t position) {
  switch (value.type()) {
    case Type::real: lua_pushnumber(L, value.as_real()); break;
    case Type::integer: lua_pushinteger(L, value.as_integer()); break;
    case Type::string:
    case Type::bytes: push_text(L, value.as_text()); break;
    case Type::boolean: lua_pushboolean(L, value.as_boolean()); break;
    case Type::null:
      last_null_ = name;
      lua_pushlightuserdata(L, nullptr);
      break;
    case Type::list:
    case Type::object: push_handle(L, child(L, parent, name, position, value)); break;
  }
  return 1;
}

Records::NodeId Records::child(lua_State* L, NodeId parent, std::string_view name, std::uint32_t position, const Value& value) {
  interpreter_.budget().charge(L, nodes_.size() / 8);
  for (std::size_t i = 2; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    if (node.parent == parent && node.position == position && equal(node.name, name)) return static_cast<NodeId>(i);
  }
  const NodeId id = new_node(L, value.type() == Type::list ? Kind::list : Kind::object);
  Node& node = nodes_[id];
  node.parent = parent;
  node.name = name;
  node.position = position;
  node.value = value;
  return id;
}

void Records::detach(lua_State* L, NodeId parent, std::string_view name, std::uint32_t position) {
  interpreter_.budget().charge(L, nodes_.size() / 8);
  for (std::size_t i = 2; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.parent == parent && node.position == position && equal(node.name, name)) node.parent = kDetached;
  }
}

int Records::index(lua_State* L) {
  Records& self = of(L);
  const auto bits = reinterpret_cast<std::uint64_t>(lua_touserdata(L, 1));
  NodeId id = kRecordNode;
  if (bits != self.handle(kRecordNode) || !self.record_) [[unlikely]]
    id = self.node_at(L, 1, "read a field of");
  Node& node = self.nodes_[id];
  if (node.kind == Kind::list) {
    if (!lua_isinteger(L, 2)) return lua_pushnil(L), 1;
    const auto items = node.value.as_list();
    const auto position = static_cast<std::uint64_t>(lua_tointeger(L, 2)) - 1;
    if (position >= items.size()) return lua_pushnil(L), 1;
    return self.push_value(L, items[position], id, {}, static_cast<std::uint32_t>(position));
  }
  if (lua_type(L, 2) != LUA_TSTRING) [[unlikely]]
    return lua_pushnil(L), 1;
  if (node.kind == Kind::meta) return self.index_meta(L, *node.record);
  const std::string_view name = text_at(L, 2);
  const std::span<Field> fields = self.fields_of(node);
  const Hint& hint = self.hint_of(name.data());
  const Field* field = hint.position < fields.size() && equal(fields[hint.position].name, name)
                           ? &fields[hint.position]
                           : self.scan(L, fields, name.data(), name);
  if (!field) return lua_pushnil(L), 1;
  if (field->value.type() == Type::real) return lua_pushnumber(L, field->value.as_real()), 1;
  return self.push_value(L, field->value, id, field->name, 0);
}

int Records::index_meta(lua_State* L, const Record& record) {
  const std::string_view name = text_at(L, 2);
  if (name == "device") {
    push_text(L, record.device);
  } else if (name == "time") {
    push_time(L, record.time);
  } else if (name == "kind") {
    push_text(L, record.kind);
  } else if (name == "arrival") {
    push_time(L, record.arrival);
  } else if (const Value* value = record.meta.find(name)) {
    push_value(L, *value, kMetaNode, name, 0);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

int Records::new_index(lua_State* L) {
  Records& self = of(L);
  const auto bits = reinterpret_cast<std::uint64_t>(lua_touserdata(L, 1));
  NodeId id = kRecordNode;
  if (bits != self.handle(kRecordNode) || !self.record_) [[unlikely]]
    id = self.node_at(L, 1, "set a field of");
  switch (self.nodes_[id].kind) {
    case Kind::meta: self.set_meta(L, *self.nodes_[id].record, 2); break;
    case Kind::list: self.set_item(L, id); break;
    default: self.set_field(L, id);
  }
  return 0;
}

void Records::set_field(lua_State* L, NodeId id) {
  if (lua_type(L, 2) != LUA_TSTRING) luaL_error(L, "a field's name must be a string, got %s", luaL_typename(L, 2));
  const std::string_view name = text_at(L, 2);
  touch(nodes_[id]);
  if (nodes_.size() > 2) detach(L, id, name, 0);
  switch (lua_type(L, 3)) {
    case LUA_TNUMBER: {
      const Value number = lua_isinteger(L, 3) ? Value::integer(lua_tointeger(L, 3)) : Value::real(lua_tonumber(L, 3));
      return store(L, id, name.data(), name, number);
    }
    case LUA_TNIL: break;
    default: return store(L, id, name.data(), name, to_value(L, 3, 1));
  }
  Node& node = nodes_[id];
  if (node.kind == Kind::object) own_object(L, node);
  FieldList& fields = node.kind == Kind::record ? node.record->fields : node.fields;
  if (fields.size() > kLongScan) interpreter_.budget().charge(L, fields.size() / 4);
  if (fields.erase(name)) publish(L, id);
}

void Records::store(lua_State* L, NodeId id, const char* key, std::string_view name, Value value) {
  Node& node = nodes_[id];
  if (node.kind == Kind::object) own_object(L, node);
  FieldList& fields = node.kind == Kind::record ? node.record->fields : node.fields;
  if (Field* field = find(L, {fields.begin(), fields.end()}, key, name)) {
    field->value = value;
  } else {
    make_room(L, sizeof(Field));
    fields.push(*arena_, keep_name(L, key, name), value);
  }
  publish(L, id);
}

void Records::set_item(lua_State* L, NodeId id) {
  const std::size_t size = nodes_[id].value.as_list().size();
  const lua_Integer index = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : 0;
  const auto position = static_cast<std::uint64_t>(index) - 1;
  if (index < 1 || position > size) {
    luaL_error(L, "a list of %d can be set at 1 to %d, not at %s", static_cast<int>(size), static_cast<int>(size) + 1,
               luaL_tolstring(L, 2, nullptr));
  }
  detach(L, id, {}, static_cast<std::uint32_t>(position));
  if (lua_isnil(L, 3)) {
    if (position == size) return;
    if (position + 1 != size) luaL_error(L, "nil would leave a hole in the list: use null, or table.remove");
    own_list(L, nodes_[id], size);
    nodes_[id].value = Value::list(nodes_[id].value.as_list().first(size - 1));
    return publish(L, id);
  }
  const Value value = to_value(L, 3, 1);
  Node& node = nodes_[id];
  own_list(L, node, std::max<std::size_t>(size, position + 1));
  auto* items = const_cast<Value*>(node.value.as_list().data());
  items[position] = value;
  node.value = Value::list({items, std::max<std::size_t>(size, position + 1)});
  publish(L, id);
}

void Records::own_object(lua_State* L, Node& node) {
  if (node.own) return;
  make_room(L, (node.value.as_object().size() + 1) * sizeof(Field));
  node.own = true;
  node.fields = FieldList{};
  node.fields.reserve(*arena_, node.value.as_object().size() + 1);
  for (const Field& f : node.value.as_object()) node.fields.push(*arena_, f.name, f.value);
}

void Records::own_list(lua_State* L, Node& node, std::size_t capacity) {
  if (node.own && capacity <= node.capacity) return;
  const auto old = node.value.as_list();
  const std::size_t room = std::max<std::size_t>({capacity, old.size() * 2, 4});
  make_room(L, room * sizeof(Value));
  auto* items = arena_->allocate<Value>(room);
  std::copy(old.begin(), old.end(), items);
  node.own = true;
  node.capacity = static_cast<std::uint32_t>(room);
  node.value = Value::list({items, old.size()});
}

void Records::set_in(lua_State* L, FieldList& fields, const Node& child) {
  if (fields.size() > kLongScan) interpreter_.budget().charge(L, fields.size() / 8);
  fields.set(*arena_, child.name, child.value);
}

/// Shows a change of `id` in the containers above it.
void Records::publish(lua_State* L, NodeId id) {
  for (Node* node = &nodes_[id]; node->kind == Kind::object || node->kind == Kind::list;) {
    if (node->kind == Kind::object && node->own) node->value = Value::object(node->fields.view());
    if (node->parent == kDetached) return;
    Node& parent = nodes_[node->parent];
    switch (parent.kind) {
      case Kind::record:
        touch(parent);
        set_in(L, parent.record->fields, *node);
        return;
      case Kind::meta: return;
      case Kind::object:
        own_object(L, parent);
        set_in(L, parent.fields, *node);
        break;
      case Kind::list:
        own_list(L, parent, parent.value.as_list().size());
        const_cast<Value*>(parent.value.as_list().data())[node->position] = node->value;
        break;
    }
    node = &parent;
  }
}

void Records::set_meta(lua_State* L, Record& record, int name_index) {
  const int value = name_index + 1;
  const std::string_view name = lua_type(L, name_index) == LUA_TSTRING ? text_at(L, name_index) : std::string_view{};
  const bool text = name == "device" || name == "kind";
  if (!text && name != "time")
    luaL_error(L, "meta: device, time and kind can be set, not '%s'", luaL_tolstring(L, name_index, nullptr));
  if (text && lua_type(L, value) != LUA_TSTRING)
    luaL_error(L, "meta.%s must be a string, got %s", name.data(), luaL_typename(L, value));
  const Time time = text ? Time{} : check_time(L, value, "meta.time");
  if (!meta_touched_ && &record == record_) {
    meta_touched_ = true;
    original_ = record;
  }
  if (!text) {
    record.time = time;
    return;
  }
  make_room(L, text_at(L, value).size());
  (name == "device" ? record.device : record.kind) = arena_->copy(text_at(L, value));
}

Value Records::snapshot(lua_State* L, Node& node) {
  // What is shared from here on must not change in place, nor what it holds.
  interpreter_.budget().charge(L, nodes_.size() / 8);
  for (Node& other : nodes_) other.own = false;
  if (node.kind != Kind::record) return node.value;
  make_room(L, node.record->fields.size() * sizeof(Field));
  return Value::object(node.record->fields.shallow_copy(*arena_).view());
}

Value Records::to_value(lua_State* L, int index, int depth) {
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: return Value::boolean(lua_toboolean(L, index));
    case LUA_TNUMBER:
      return lua_isinteger(L, index) ? Value::integer(lua_tointeger(L, index)) : Value::real(lua_tonumber(L, index));
    case LUA_TSTRING: make_room(L, lua_rawlen(L, index)); return text_value(L, index, *arena_);
    case LUA_TTABLE: return table_value(L, lua_absindex(L, index), depth);
    case LUA_TLIGHTUSERDATA: {
      if (!lua_touserdata(L, index)) return Value::null();
      Node& node = nodes_[node_at(L, index, "store")];
      if (node.kind == Kind::meta) luaL_error(L, "meta cannot be stored in a field");
      return snapshot(L, node);
    }
    default: luaL_error(L, "a %s cannot be stored in a record", luaL_typename(L, index));
  }
  return {};
}

Value Records::table_value(lua_State* L, int table, int depth) {
  if (depth >= kMaxDepth) luaL_error(L, "the table is nested deeper than %d (or holds itself)", kMaxDepth);
  luaL_checkstack(L, 4, "nested table");
  const bool marked = is_marked_list(L, table);
  const std::size_t size = lua_rawlen(L, table);
  if (marked || size > 0) {
    make_room(L, size * sizeof(Value));
    interpreter_.budget().charge(L, size);
    auto* items = arena_->allocate<Value>(size);
    for (std::size_t i = 0; i < size; ++i) {
      if (lua_rawgeti(L, table, static_cast<lua_Integer>(i) + 1) == LUA_TNIL)
        luaL_error(L, "the list has a hole at %d: use null", static_cast<int>(i) + 1);
      items[i] = to_value(L, -1, depth + 1);
      lua_pop(L, 1);
    }
    std::size_t count = 0;
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
      interpreter_.budget().charge(L, 1);
      if (++count > size || !lua_isinteger(L, -2))
        luaL_error(L, "a table for a record is either a list (1, 2, 3...) or has names; this one has both, or a hole");
    }
    return Value::list({items, size});
  }
  std::vector<Field> fields;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "an object's names must be strings, got %s", luaL_tolstring(L, -2, nullptr));
    make_room(L, sizeof(Field) + lua_rawlen(L, -2));
    const std::string_view name = arena_->copy(text_at(L, -2));
    fields.push_back({name, to_value(L, -1, depth + 1)});
  }
  // A Lua table has no order of its own that two runs would share.
  std::ranges::sort(fields, {}, &Field::name);
  auto* kept = arena_->allocate<Field>(fields.size());
  std::ranges::copy(fields, kept);
  return Value::object({kept, fields.size()});
}

}  // namespace millrace::lua
