#include "runner/lua/values.h"

#include <simdjson.h>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <lua.hpp>

#include "runner/lua/interpreter.h"

namespace millrace::lua {
namespace {

const char kListMark = 0;  // its address is the registry's key of the lists' metatable

int mark_list(lua_State* L) {
  if (lua_isnone(L, 1)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kListMark);
  lua_setmetatable(L, 1);
  return 1;
}

}  // namespace

void push_time(lua_State* L, Time time) {
  const std::int64_t us = time.time_since_epoch().count();
  if (us % 1000 == 0) {
    lua_pushinteger(L, us / 1000);
  } else {
    lua_pushnumber(L, static_cast<double>(us) / 1000.0);
  }
}

Time check_time(lua_State* L, int index, const char* what) {
  constexpr double kFarthest = 9.0e15;  // ms; microseconds of it still fit 64 bits
  int valid = 0;
  if (lua_type(L, index) == LUA_TNUMBER) {
    const double ms = lua_tonumberx(L, index, &valid);
    if (valid && std::abs(ms) < kFarthest) {
      if (lua_isinteger(L, index)) return Time{std::chrono::milliseconds{lua_tointeger(L, index)}};
      return Time{Duration{std::llround(ms * 1000.0)}};
    }
  }
  luaL_error(L, "%s must be a number of milliseconds since the epoch, got %s", what, luaL_tolstring(L, index, nullptr));
  return {};
}

void push_text(lua_State* L, std::string_view text) {
  const std::size_t limit = Interpreter::of(L).budget().text_limit();
  if (text.size() > limit) {
    luaL_error(L, "the text is longer (%I bytes) than a script may read (%I, a 64th of the option `memory`)",
               static_cast<LUAI_UACINT>(text.size()), static_cast<LUAI_UACINT>(limit));
  }
  lua_pushlstring(L, text.data(), text.size());
}

bool is_utf8(std::string_view text) {
  // Most texts are short and plain.
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + i, 8);
    if (eight & 0x8080808080808080U) break;
  }
  while (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) ++i;
  return i == text.size() || simdjson::validate_utf8(text.data() + i, text.size() - i);
}

Value text_value(lua_State* L, int index, Arena& arena) {
  std::size_t size = 0;
  const char* data = lua_tolstring(L, index, &size);
  const std::string_view text = arena.copy({data, size});
  return is_utf8(text) ? Value::string(text) : Value::bytes(text);
}

void open_values(lua_State* L) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, "list");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &kListMark);
  lua_register(L, "list", mark_list);
  lua_pushlightuserdata(L, nullptr);
  lua_setglobal(L, "null");
}

bool is_marked_list(lua_State* L, int index) {
  if (!lua_getmetatable(L, index)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &kListMark);
  const bool marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return marked;
}

}  // namespace millrace::lua
