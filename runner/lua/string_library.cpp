#include <cstring>
#include <lua.hpp>
#include <string_view>

#include "runner/lua/interpreter.h"
#include "runner/lua/libraries.h"
#include "runner/lua/pattern.h"

namespace millrace::lua {
namespace {

Budget& budget(lua_State* L) { return Interpreter::of(L).budget(); }

std::string_view check_text(lua_State* L, int index) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(L, index, &size);
  return {data, size};
}

/// A start position, counted from the end if negative, as an offset; beyond the end it is size + 1.
std::size_t start_offset(lua_State* L, int index, std::size_t size) {
  const lua_Integer position = luaL_optinteger(L, index, 1);
  if (position > 0) return static_cast<lua_Unsigned>(position) - 1 > size ? size + 1 : static_cast<std::size_t>(position) - 1;
  if (position == 0 || position < -static_cast<lua_Integer>(size)) return 0;
  return size - static_cast<std::size_t>(-position);
}

int find_plain(lua_State* L, std::string_view subject, std::string_view wanted, std::size_t from) {
  // The C library's search is linear in both.
  budget(L).charge(L, (subject.size() - from + wanted.size()) / 16);
  const void* found = wanted.empty() ? subject.data() + from
                                     : memmem(subject.data() + from, subject.size() - from, wanted.data(), wanted.size());
  if (!found) return lua_pushnil(L), 1;
  const auto offset = static_cast<const char*>(found) - subject.data();
  lua_pushinteger(L, offset + 1);
  lua_pushinteger(L, offset + static_cast<lua_Integer>(wanted.size()));
  return 2;
}

int search(lua_State* L, bool find) {
  const std::string_view subject = check_text(L, 1);
  std::string_view pattern = check_text(L, 2);
  const std::size_t from = start_offset(L, 3, subject.size());
  if (from > subject.size()) return lua_pushnil(L), 1;
  if (find && (lua_toboolean(L, 4) || pattern.find_first_of("^$*+?.([%-") == std::string_view::npos)) {
    return find_plain(L, subject, pattern, from);
  }
  const bool anchored = !pattern.empty() && pattern.front() == '^';
  if (anchored) pattern.remove_prefix(1);
  Matcher matcher(L, budget(L), subject, pattern);
  for (const char* s = matcher.begin() + from; s <= matcher.end(); ++s) {
    if (const char* end = matcher.match(s)) {
      if (!find) return matcher.push_captures(s, end);
      lua_pushinteger(L, s - matcher.begin() + 1);
      lua_pushinteger(L, end - matcher.begin());
      return matcher.push_captures(nullptr, nullptr) + 2;
    }
    if (anchored) break;
  }
  return lua_pushnil(L), 1;
}

int find(lua_State* L) { return search(L, true); }
int match(lua_State* L) { return search(L, false); }

/// Upvalues: subject, pattern, offset to go on from, end of the last match or -1.
int next_match(lua_State* L) {
  const std::string_view subject = check_text(L, lua_upvalueindex(1));
  Matcher matcher(L, budget(L), subject, check_text(L, lua_upvalueindex(2)));
  const lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  for (auto offset = lua_tointeger(L, lua_upvalueindex(3)); offset <= static_cast<lua_Integer>(subject.size()); ++offset) {
    const char* start = subject.data() + offset;
    const char* end = matcher.match(start);
    if (!end || end - subject.data() == last) continue;
    lua_pushinteger(L, end - subject.data());
    lua_pushvalue(L, -1);
    lua_replace(L, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return matcher.push_captures(start, end);
  }
  lua_pushinteger(L, static_cast<lua_Integer>(subject.size()) + 1);
  lua_replace(L, lua_upvalueindex(3));
  return 0;
}

int gmatch(lua_State* L) {
  const std::string_view subject = check_text(L, 1);
  check_text(L, 2);
  const std::size_t from = start_offset(L, 3, subject.size());
  lua_settop(L, 2);
  lua_pushinteger(L, static_cast<lua_Integer>(from));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

/// Adds the replacement's text, with %0 to %9 filled in.
void add_template(lua_State* L, luaL_Buffer& out, Matcher& matcher, const char* from, const char* to) {
  std::size_t size = 0;
  const char* text = lua_tolstring(L, 3, &size);
  budget(L).charge(L, size / 16);
  for (const char* at = text; at < text + size; ++at) {
    if (*at != '%') {
      luaL_addchar(&out, *at);
      continue;
    }
    ++at;
    if (at < text + size && *at == '%') {
      luaL_addchar(&out, '%');
    } else if (at < text + size && *at == '0') {
      luaL_addlstring(&out, from, static_cast<std::size_t>(to - from));
    } else if (at < text + size && *at >= '1' && *at <= '9') {
      matcher.push_capture(*at - '1', from, to);
      luaL_tolstring(L, -1, nullptr);
      lua_remove(L, -2);
      luaL_addvalue(&out);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
  }
}

void add_replacement(lua_State* L, luaL_Buffer& out, Matcher& matcher, const char* from, const char* to) {
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
      lua_pushvalue(L, 3);
      lua_call(L, matcher.push_captures(from, to), 1);
      break;
    case LUA_TTABLE:
      matcher.push_capture(0, from, to);
      lua_gettable(L, 3);
      break;
    default: return add_template(L, out, matcher, from, to);
  }
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    luaL_addlstring(&out, from, static_cast<std::size_t>(to - from));
    return;
  }
  if (!lua_isstring(L, -1)) luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(&out);
}

int gsub(lua_State* L) {
  const std::string_view subject = check_text(L, 1);
  std::string_view pattern = check_text(L, 2);
  const int type = lua_type(L, 3);
  luaL_argexpected(L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE, 3,
                   "string/function/table");
  const lua_Integer most = luaL_optinteger(L, 4, static_cast<lua_Integer>(subject.size()) + 1);
  const bool anchored = !pattern.empty() && pattern.front() == '^';
  if (anchored) pattern.remove_prefix(1);
  lua_settop(L, 3);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  Matcher matcher(L, budget(L), subject, pattern);
  const char* s = matcher.begin();
  const char* last = nullptr;
  lua_Integer count = 0;
  while (count < most) {
    const char* end = matcher.match(s);
    if (end && end != last) {
      ++count;
      add_replacement(L, out, matcher, s, end);
      s = last = end;
    } else if (s < matcher.end()) {
      luaL_addchar(&out, *s);
      ++s;
    } else {
      break;
    }
    if (anchored) break;
  }
  luaL_addlstring(&out, s, static_cast<std::size_t>(matcher.end() - s));
  luaL_pushresult(&out);
  lua_pushinteger(L, count);
  return 2;
}

int repeat(lua_State* L) {
  const std::string_view text = check_text(L, 1);
  const lua_Integer count = luaL_checkinteger(L, 2);
  std::size_t separator_size = 0;
  const char* separator = luaL_optlstring(L, 3, "", &separator_size);
  const std::size_t limit = budget(L).text_limit();
  if (count <= 0) return lua_pushliteral(L, ""), 1;
  const std::size_t each = text.size() + separator_size;
  if (each > 0 && static_cast<lua_Unsigned>(count) > (limit + separator_size) / each) {
    return luaL_error(L, "resulting string too large: a script's texts are limited to %I bytes, a 64th of the option `memory`",
                      static_cast<LUAI_UACINT>(limit));
  }
  if (each == 0) return lua_pushliteral(L, ""), 1;
  budget(L).charge(L, static_cast<std::uint64_t>(count));
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  for (lua_Integer i = 0; i < count; ++i) {
    if (i > 0) luaL_addlstring(&out, separator, separator_size);
    luaL_addlstring(&out, text.data(), text.size());
  }
  luaL_pushresult(&out);
  return 1;
}

}  // namespace

void open_strings(lua_State* L) {
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  const luaL_Reg functions[] = {{"find", find}, {"match", match}, {"gmatch", gmatch},
                                {"gsub", gsub}, {"rep", repeat},  {nullptr, nullptr}};
  luaL_setfuncs(L, functions, 0);
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  for (const char* name : {"byte", "format", "lower", "pack", "reverse", "unpack", "upper"}) charge_by_length(L, name);
  lua_pop(L, 1);

  // The strings' metatable is shared by all; a script may not reach it.
  lua_pushliteral(L, "");
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

}  // namespace millrace::lua
