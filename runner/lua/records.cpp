#include "runner/lua/records.h"

#include <cassert>
#include <cstring>
#include <lua.hpp>

#include "runner/lua/text_at.h"
#include "runner/lua/values.h"

namespace millrace::lua {
namespace {

constexpr std::size_t kMaxNodes = 0xfff0;

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

void Records::push_handle(lua_State* L, NodeId node) const {
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a light userdata is what carries a number without being one in Lua
  lua_pushlightuserdata(L, reinterpret_cast<void*>(handle(node)));
}

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

}  // namespace millrace::lua
