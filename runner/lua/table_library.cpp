#include <algorithm>
#include <cstdint>
#include <lua.hpp>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"

namespace millrace::lua {
namespace {

constexpr lua_Integer kMaxUnpacked = 100000;

Budget& budget(lua_State* L) { return Interpreter::of(L).budget(); }

/// Charges a loop over first..last before it runs in C.
void charge_range(lua_State* L, lua_Integer first, lua_Integer last) {
  if (first <= last)
    budget(L).charge(
        L, std::min<std::uint64_t>(static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first), INT64_MAX / 2) + 1);
}

/// Tables, and what offers the operations that the functions need: the lists and objects in records.
void check_list(lua_State* L, int index) {
  if (lua_type(L, index) != LUA_TLIGHTUSERDATA) luaL_checktype(L, index, LUA_TTABLE);
}

int insert(lua_State* L) {
  check_list(L, 1);
  lua_Integer end = luaL_len(L, 1) + 1;
  lua_Integer position = end;
  switch (lua_gettop(L)) {
    case 2: break;
    case 3:
      position = luaL_checkinteger(L, 2);
      luaL_argcheck(L, position >= 1 && position <= end, 2, "position out of bounds");
      charge_range(L, position, end - 1);
      for (lua_Integer i = end; i > position; --i) {
        lua_geti(L, 1, i - 1);
        lua_seti(L, 1, i);
      }
      break;
    default: return luaL_error(L, "wrong number of arguments to 'insert'");
  }
  lua_settop(L, lua_gettop(L));
  lua_seti(L, 1, position);
  return 0;
}

int remove(lua_State* L) {
  check_list(L, 1);
  const lua_Integer size = luaL_len(L, 1);
  lua_Integer position = luaL_optinteger(L, 2, size);
  if (lua_gettop(L) > 1) luaL_argcheck(L, position >= 1 && position - 1 <= size, 2, "position out of bounds");
  lua_geti(L, 1, position);
  charge_range(L, position, size - 1);
  for (; position < size; ++position) {
    lua_geti(L, 1, position + 1);
    lua_seti(L, 1, position);
  }
  if (position >= 1) {
    lua_pushnil(L);
    lua_seti(L, 1, position);
  }
  return 1;
}

int move(lua_State* L) {
  const lua_Integer first = luaL_checkinteger(L, 2);
  const lua_Integer last = luaL_checkinteger(L, 3);
  const lua_Integer to = luaL_checkinteger(L, 4);
  const int target = lua_isnoneornil(L, 5) ? 1 : 5;
  check_list(L, 1);
  check_list(L, target);
  if (last >= first) {
    luaL_argcheck(L, first > 0 || last < LUA_MAXINTEGER + first, 3, "too many elements to move");
    luaL_argcheck(L, to <= LUA_MAXINTEGER - (last - first), 4, "destination wrap around");
    charge_range(L, first, last);
    const lua_Integer count = last - first + 1;
    const bool forwards = to > last || to <= first || (target != 1 && !lua_compare(L, 1, target, LUA_OPEQ));
    for (lua_Integer n = 0; n < count; ++n) {
      const lua_Integer i = forwards ? n : count - 1 - n;
      lua_geti(L, 1, first + i);
      lua_seti(L, target, to + i);
    }
  }
  lua_pushvalue(L, target);
  return 1;
}

int concat(lua_State* L) {
  check_list(L, 1);
  std::size_t separator_size = 0;
  const char* separator = luaL_optlstring(L, 2, "", &separator_size);
  const lua_Integer first = luaL_optinteger(L, 3, 1);
  const lua_Integer last = lua_isnoneornil(L, 4) ? luaL_len(L, 1) : luaL_checkinteger(L, 4);
  charge_range(L, first, last);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (lua_Integer i = first; i <= last; ++i) {
    if (i > first) luaL_addlstring(&text, separator, separator_size);
    lua_geti(L, 1, i);
    if (!lua_isstring(L, -1)) {
      return luaL_error(L, "invalid value (a %s) at index %I in table for 'concat'", luaL_typename(L, -1),
                        static_cast<LUAI_UACINT>(i));
    }
    luaL_addvalue(&text);
    if (i == last) break;
  }
  luaL_pushresult(&text);
  return 1;
}

int unpack(lua_State* L) {
  const lua_Integer first = luaL_optinteger(L, 2, 1);
  const lua_Integer last = lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3);
  if (first > last) return 0;
  const lua_Unsigned count = static_cast<lua_Unsigned>(last) - static_cast<lua_Unsigned>(first);
  if (count >= kMaxUnpacked || !lua_checkstack(L, static_cast<int>(count) + 1))
    return luaL_error(L, "too many results to unpack");
  charge_range(L, first, last);
  for (lua_Integer i = first;; ++i) {
    lua_geti(L, 1, i);
    if (i == last) break;
  }
  return static_cast<int>(count) + 1;
}

/// Every comparison of a sort passes here, whatever compares: the script's function (first upvalue) or Lua's order.
int counted_less(lua_State* L) {
  std::uint64_t steps = 2;
  if (lua_type(L, 1) == LUA_TSTRING && lua_type(L, 2) == LUA_TSTRING)
    steps += std::min(lua_rawlen(L, 1), lua_rawlen(L, 2)) / 16;
  budget(L).charge(L, steps);
  if (lua_isnil(L, lua_upvalueindex(1))) {
    lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT));
    return 1;
  }
  lua_settop(L, 2);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

int sort(lua_State* L) {
  check_list(L, 1);
  lua_settop(L, 2);
  if (!lua_isnil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  lua_pushcclosure(L, counted_less, 1);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

}  // namespace

void open_tables(lua_State* L) {
  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  const luaL_Reg functions[] = {{"insert", insert}, {"remove", remove}, {"move", move},
                                {"concat", concat}, {"unpack", unpack}, {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  lua_getfield(L, -1, "sort");
  lua_pushcclosure(L, sort, 1);
  lua_setfield(L, -2, "sort");
  lua_pop(L, 1);
}

}  // namespace millrace::lua
