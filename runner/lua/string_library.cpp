#include <lua.hpp>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"

namespace millrace::lua {

void open_strings(lua_State* L) {
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  lua_pop(L, 1);
}

}  // namespace millrace::lua
