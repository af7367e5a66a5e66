#pragma once

struct lua_State;

namespace millrace::lua {

// Each adds or replaces global functions in a state that belongs to an Interpreter.

void open_base(lua_State* L);  ///< the basic functions, without the ways out of the sandbox
void open_coroutines(lua_State* L);
void open_strings(lua_State* L);  ///< with find, match, gmatch and gsub on the counted matcher of pattern.h
void open_tables(lua_State* L);
void open_time(lua_State* L);  ///< now() and a small os

/// Makes `table[name]`, the table being on top of the stack, charge a step for each 16 bytes of its first argument.
void charge_by_length(lua_State* L, const char* name);

}  // namespace millrace::lua
