#include <array>
#include <lua.hpp>
#include <string>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"

namespace millrace::lua {
namespace {

/// What unwinding the stack to a pcall costs, in instructions.
constexpr std::uint64_t kStepsPerError = 300;

Budget& budget(lua_State* L) { return Interpreter::of(L).budget(); }

/// The end of pcall and xpcall: what the protected call returned lies above the `below` lowest values.
int end_protected(lua_State* L, int status, lua_KContext below) {
  budget(L).rethrow_if_spent(L);
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - static_cast<int>(below);
  if (status == LUA_ERRMEM) {
    budget(L).spend_memory();
    budget(L).rethrow_if_spent(L);
  }
  budget(L).charge(L, kStepsPerError);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

int protected_call(lua_State* L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return end_protected(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, end_protected), 0);
}

int end_handler(lua_State* L, int status, lua_KContext) {
  budget(L).rethrow_if_spent(L);
  if (status != LUA_OK && status != LUA_YIELD) return end_protected(L, status, 0);
  lua_pushboolean(L, 0);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/// The handler runs after the stack is unwound: while Lua raises an error out of a hook, hooks are off, and a handler that
/// loops would never end.
int end_xpcall(lua_State* L, int status, lua_KContext) {
  budget(L).rethrow_if_spent(L);
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  if (status == LUA_ERRMEM) return end_protected(L, status, 0);
  budget(L).charge(L, kStepsPerError);
  lua_replace(L, 2);  // the error in place of `true`
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_insert(L, 2);  // handler, handler, error
  return end_handler(L, lua_pcallk(L, 1, LUA_MULTRET, 0, 0, end_handler), 0);
}

int protected_call_with_handler(lua_State* L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushvalue(L, 2);  // f, h, args..., h
  lua_insert(L, 1);     // h, f, h, args...
  lua_remove(L, 3);     // h, f, args...
  lua_pushboolean(L, 1);
  lua_insert(L, 2);  // h, true, f, args...
  return end_xpcall(L, lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, 0, end_xpcall), 0);
}

int set_metatable(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return luaL_error(L, "cannot change a protected metatable");
  for (const char* event : {"__gc", "__close"}) {
    if (!lua_istable(L, 2)) break;
    lua_pushstring(L, event);
    if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "setmetatable: %s is not offered to scripts", event);
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  lua_setmetatable(L, 1);
  return 1;
}

int log_line(lua_State* L) {
  static constexpr std::array<const char*, 5> names{"debug", "info", "warning", "error", nullptr};
  int level = luaL_checkoption(L, 2, "info", names.data());
  lua_settop(L, 1);
  std::size_t size = 0;
  const char* text = luaL_tolstring(L, 1, &size);
  budget(L).charge(L, 20);
  Interpreter::of(L).log(static_cast<LogLevel>(level), {text, size});
  return 0;
}

int print(lua_State* L) {
  std::string line;
  const int count = lua_gettop(L);
  for (int i = 1; i <= count && line.size() < 4096; ++i) {
    std::size_t size = 0;
    const char* text = luaL_tolstring(L, i, &size);
    if (i > 1) line += '\t';
    line.append(text, size < 4096 ? size : 4096);
    lua_pop(L, 1);
  }
  budget(L).charge(L, 20);
  Interpreter::of(L).log(LogLevel::info, line);
  return 0;
}

int charged(lua_State* L) {
  if (lua_type(L, 1) == LUA_TSTRING) budget(L).charge(L, lua_rawlen(L, 1) / 16);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

}  // namespace

void charge_by_length(lua_State* L, const char* name) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, charged, 1);
  lua_setfield(L, -2, name);
}

void open_base(lua_State* L) {
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  for (const char* way_out : {"collectgarbage", "dofile", "load", "loadfile", "warn"}) {
    lua_pushnil(L);
    lua_setfield(L, -2, way_out);
  }
  const luaL_Reg functions[] = {{"pcall", protected_call},
                                {"xpcall", protected_call_with_handler},
                                {"setmetatable", set_metatable},
                                {"log", log_line},
                                {"print", print},
                                {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  charge_by_length(L, "tonumber");
  lua_pop(L, 1);

  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
  // The same run gives the same numbers, live, under test and in a replay, unless the script seeds with something else.
  lua_getfield(L, -1, "randomseed");
  lua_pushinteger(L, 1);
  lua_call(L, 1, 0);
  lua_pop(L, 1);

  luaL_requiref(L, LUA_UTF8LIBNAME, luaopen_utf8, 1);
  for (const char* name : {"len", "codepoint", "offset"}) charge_by_length(L, name);
  lua_pop(L, 1);
}

}  // namespace millrace::lua
