// Records: iteration, text form, new records, and what a script's function returns.

#include <lua.hpp>
#include <string>

#include "runner/lua/records.h"
#include "runner/lua/values.h"
#include "runner/stage/json.h"

namespace millrace::lua {

int Records::length(lua_State* L) {
  Records& self = of(L);
  Node& node = self.nodes_[self.node_at(L, 1, "take the length of")];
  if (node.kind == Kind::meta) return luaL_error(L, "meta has no length");
  const std::size_t size = node.kind == Kind::list ? node.value.as_list().size() : self.fields_of(node).size();
  lua_pushinteger(L, static_cast<lua_Integer>(size));
  return 1;
}

int Records::pairs(lua_State* L) {
  Records& self = of(L);
  if (self.nodes_[self.node_at(L, 1, "iterate over")].kind == Kind::meta) return luaL_error(L, "meta cannot be iterated over");
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next, 1);
  lua_pushvalue(L, 1);
  return 2;
}

/// Its upvalue is the position to go on from. A field that the loop's body has just removed leaves its position to the next.
int Records::next(lua_State* L) {
  Records& self = of(L);
  const NodeId id = self.node_at(L, 1, "iterate over");
  Node& node = self.nodes_[id];
  auto position = static_cast<std::size_t>(lua_tointeger(L, lua_upvalueindex(1)));
  if (node.kind == Kind::list) {
    const auto items = node.value.as_list();
    if (position >= items.size()) return lua_pushnil(L), 1;
    lua_pushinteger(L, static_cast<lua_Integer>(position) + 1);
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(1));
    self.push_value(L, items[position], id, {}, static_cast<std::uint32_t>(position));
    return 2;
  }
  if (node.kind == Kind::meta) return lua_pushnil(L), 1;
  const auto fields = self.fields_of(node);
  if (position > 0 && lua_type(L, 2) == LUA_TSTRING) {
    std::size_t size = 0;
    const char* last = lua_tolstring(L, 2, &size);
    if (position > fields.size() || fields[position - 1].name != std::string_view{last, size}) --position;
  }
  if (position >= fields.size()) return lua_pushnil(L), 1;
  const Field field = fields[position];
  lua_pushinteger(L, static_cast<lua_Integer>(position) + 1);
  lua_replace(L, lua_upvalueindex(1));
  lua_pushlstring(L, field.name.data(), field.name.size());
  self.push_value(L, field.value, id, field.name, 0);
  return 2;
}

int Records::to_string(lua_State* L) {
  Records& self = of(L);
  if (!lua_touserdata(L, 1)) return lua_pushliteral(L, "null"), 1;
  Node& node = self.nodes_[self.node_at(L, 1, "show")];
  std::string text;
  switch (node.kind) {
    case Kind::record: append_json(text, node.record->fields.view()); break;
    case Kind::meta: text = "meta"; break;
    default: append_json(text, node.value);
  }
  self.interpreter_.budget().charge(L, text.size() / 16);
  push_text(L, text);
  return 1;
}

int Records::refuse_operation(lua_State* L) {
  Records& self = of(L);
  lua_settop(L, 2);
  const int culprit = lua_type(L, 1) == LUA_TLIGHTUSERDATA ? 1 : 2;
  if (!lua_touserdata(L, culprit)) self.node_at(L, culprit, "calculate with");
  return luaL_error(L, "cannot apply '%s' to a record, object or list", lua_tostring(L, lua_upvalueindex(1)));
}

int Records::make_record(lua_State* L) {
  Records& self = of(L);
  if (!self.arena_) return luaL_error(L, "Record() can be called within process() and tick() only");
  luaL_argexpected(L, lua_isnoneornil(L, 2) || lua_istable(L, 2), 2, "table");
  Record record;
  record.time = record.arrival = self.interpreter_.outside().now();
  if (self.record_) record = *self.record_;
  record.fields = FieldList{};
  if (!lua_isnoneornil(L, 1)) {
    if (lua_type(L, 1) == LUA_TLIGHTUSERDATA) {
      const Node& given = self.nodes_[self.node_at(L, 1, "copy")];
      if (given.kind == Kind::record) record = *given.record;
    }
    const Value fields = self.to_value(L, 1, 1);
    const bool empty_list = fields.type() == Type::list && fields.as_list().empty();
    if (fields.type() != Type::object && !empty_list)
      return luaL_argerror(L, 1, "a table of fields, a record or an object expected");
    record.fields = FieldList{};
    if (!empty_list) {
      self.make_room(L, fields.as_object().size() * sizeof(Field));
      record.fields.reserve(*self.arena_, fields.as_object().size());
      for (const Field& f : fields.as_object()) record.fields.push(*self.arena_, f.name, f.value);
    }
  }
  self.make_room(L, sizeof(Record) + record.meta.size() * sizeof(Field));
  record.meta = record.meta.shallow_copy(*self.arena_);
  const NodeId id = self.new_node(L, Kind::record);
  self.nodes_[id].record = &self.made_.emplace_back(record);
  if (lua_istable(L, 2)) {
    for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) self.set_meta(L, *self.nodes_[id].record, lua_gettop(L) - 1);
  }
  self.push_handle(L, id);
  return 1;
}

const Record& Records::returned_record(lua_State* L, int index, const char* function) {
  if (lua_type(L, index) != LUA_TLIGHTUSERDATA || !lua_touserdata(L, index)) {
    luaL_error(L, "%s() must return the record, a list of records, or nil to drop it; got %s", function,
               lua_type(L, index) == LUA_TLIGHTUSERDATA ? "null" : luaL_typename(L, index));
  }
  Node& node = nodes_[node_at(L, index, "return")];
  if (node.kind != Kind::record) luaL_error(L, "%s() must return the record, not a part of it or its meta", function);
  if (node.emitted) {
    make_room(L, sizeof(Record) + (node.record->fields.size() + node.record->meta.size()) * sizeof(Field));
    Record& copy = made_.emplace_back(*node.record);
    copy.fields = copy.fields.shallow_copy(*arena_);
    copy.meta = copy.meta.shallow_copy(*arena_);
    return copy;
  }
  node.emitted = true;
  return *node.record;
}

Records::Returned Records::take(lua_State* L, const char* function) {
  const int type = lua_type(L, -1);
  if (type == LUA_TLIGHTUSERDATA && record_ && lua_touserdata(L, -1) == reinterpret_cast<void*>(handle(kRecordNode))) [[likely]]
    return Returned::itself;
  if (type == LUA_TNIL) return Returned::nothing;
  returned_.clear();
  if (type != LUA_TTABLE) {
    returned_.push_back(returned_record(L, -1, function));
    return Returned::several;
  }
  const auto size = static_cast<lua_Integer>(lua_rawlen(L, -1));
  interpreter_.budget().charge(L, static_cast<std::uint64_t>(size));
  if (size == 0) {
    // An empty table is an empty list; one with fields was meant as a record, and would be lost without a word.
    lua_pushnil(L);
    if (lua_next(L, -2) != 0)
      luaL_error(L, "%s() returned a plain table; a new record is made by Record{name = value, ...}, a list is {record, ...}",
                 function);
  }
  for (lua_Integer i = 1; i <= size; ++i) {
    lua_rawgeti(L, -1, i);
    returned_.push_back(returned_record(L, -1, function));
    lua_pop(L, 1);
  }
  return Returned::several;
}

}  // namespace millrace::lua
