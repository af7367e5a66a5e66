#include <array>
#include <cmath>
#include <cstring>
#include <ctime>
#include <lua.hpp>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"
#include "runner/lua/values.h"

namespace millrace::lua {
namespace {

Time clock_now(lua_State* L) { return Interpreter::of(L).outside().now(); }

int now(lua_State* L) {
  push_time(L, clock_now(L));
  return 1;
}

/// Seconds of the stage's clock since its epoch: only differences mean anything, as with the usual os.clock.
int os_clock(lua_State* L) {
  lua_pushnumber(L, to_millis(clock_now(L)) / 1000.0);
  return 1;
}

int table_field(lua_State* L, const char* name, int otherwise, int offset) {
  lua_getfield(L, 1, name);
  int valid = 0;
  lua_Integer value = lua_tointegerx(L, -1, &valid);
  if (!valid) {
    if (!lua_isnil(L, -1)) luaL_error(L, "field '%s' is not an integer", name);
    if (otherwise < 0) luaL_error(L, "field '%s' missing in date table", name);
    value = otherwise;
  }
  if (value < -1000000 || value > 1000000) luaL_error(L, "field '%s' is out of bounds", name);
  lua_pop(L, 1);
  return static_cast<int>(value) - offset;
}

int os_time(lua_State* L) {
  if (lua_isnoneornil(L, 1)) {
    lua_pushinteger(L, to_whole_millis(clock_now(L)) / 1000);
    return 1;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  std::tm date{};
  date.tm_year = table_field(L, "year", -1, 1900);
  date.tm_mon = table_field(L, "month", -1, 1);
  date.tm_mday = table_field(L, "day", -1, 0);
  date.tm_hour = table_field(L, "hour", 12, 0);
  date.tm_min = table_field(L, "min", 0, 0);
  date.tm_sec = table_field(L, "sec", 0, 0);
  date.tm_isdst = -1;
  lua_pushinteger(L, static_cast<lua_Integer>(std::mktime(&date)));
  return 1;
}

void set_integer(lua_State* L, const char* name, int value) {
  lua_pushinteger(L, value);
  lua_setfield(L, -2, name);
}

int date_table(lua_State* L, const std::tm& date) {
  lua_createtable(L, 0, 9);
  set_integer(L, "year", date.tm_year + 1900);
  set_integer(L, "month", date.tm_mon + 1);
  set_integer(L, "day", date.tm_mday);
  set_integer(L, "hour", date.tm_hour);
  set_integer(L, "min", date.tm_min);
  set_integer(L, "sec", date.tm_sec);
  set_integer(L, "yday", date.tm_yday + 1);
  set_integer(L, "wday", date.tm_wday + 1);
  lua_pushboolean(L, date.tm_isdst > 0);
  lua_setfield(L, -2, "isdst");
  return 1;
}

int os_date(lua_State* L) {
  std::size_t size = 0;
  const char* format = luaL_optlstring(L, 1, "%c", &size);
  const auto seconds = static_cast<std::time_t>(luaL_optinteger(L, 2, to_whole_millis(clock_now(L)) / 1000));
  const bool utc = *format == '!';
  if (utc) ++format, --size;
  std::tm date{};
  if (!(utc ? gmtime_r(&seconds, &date) : localtime_r(&seconds, &date))) return luaL_error(L, "date out of range");
  if (std::strncmp(format, "*t", 2) == 0) return date_table(L, date);

  Interpreter::of(L).budget().charge(L, size);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (const char* at = format; at < format + size; ++at) {
    if (*at != '%') {
      luaL_addchar(&text, *at);
      continue;
    }
    // One conversion at a time, without the C library's own widths and flags.
    ++at;
    if (at == format + size || !std::strchr("aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%", *at)) {
      return luaL_argerror(L, 1, "invalid conversion in the date's format");
    }
    const std::array<char, 3> one{'%', *at, '\0'};
    std::array<char, 128> piece{};
    luaL_addlstring(&text, piece.data(), std::strftime(piece.data(), piece.size(), one.data(), &date));
  }
  luaL_pushresult(&text);
  return 1;
}

int os_difftime(lua_State* L) {
  lua_pushnumber(L, luaL_checknumber(L, 1) - luaL_checknumber(L, 2));
  return 1;
}

}  // namespace

void open_time(lua_State* L) {
  const luaL_Reg functions[] = {
      {"clock", os_clock}, {"date", os_date}, {"difftime", os_difftime}, {"time", os_time}, {nullptr, nullptr}};
  luaL_newlib(L, functions);
  lua_setglobal(L, "os");
  lua_register(L, "now", now);
}

}  // namespace millrace::lua
