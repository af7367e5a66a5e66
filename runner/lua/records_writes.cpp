#include <algorithm>
#include <cassert>
#include <lua.hpp>

#include "runner/lua/records.h"
#include "runner/lua/text_at.h"
#include "runner/lua/values.h"

// What scripts write: into fields, containers and the meta.

namespace millrace::lua {

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
