#include <lua.hpp>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"

namespace millrace::lua {
namespace {

Budget& budget(lua_State* L) { return Interpreter::of(L).budget(); }

/// For create and wrap. A coroutine counts its own instructions from zero, so what it may run before its first hook is charged
/// here; else a script could live on coroutines too short to be seen.
int start(lua_State* L) {
  budget(L).charge(L, Budget::kHookInterval);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/// For yield, which unwinds the coroutine's C++ frames: far dearer than an instruction.
int yield(lua_State* L) {
  budget(L).charge(L, Budget::kHookInterval);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/// For resume and close, which turn errors into results: a spent budget goes on as an error.
int settle(lua_State* L) {
  int results = lua_tocfunction(L, lua_upvalueindex(1))(L);
  budget(L).rethrow_if_spent(L);
  return results;
}

void wrap(lua_State* L, const char* name, lua_CFunction with) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, with, 1);
  lua_setfield(L, -2, name);
}

}  // namespace

void open_coroutines(lua_State* L) {
  luaL_requiref(L, LUA_COLIBNAME, luaopen_coroutine, 1);
  wrap(L, "create", start);
  wrap(L, "wrap", start);
  wrap(L, "yield", yield);
  wrap(L, "resume", settle);
  wrap(L, "close", settle);
  lua_pop(L, 1);
}

}  // namespace millrace::lua
