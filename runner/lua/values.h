#pragma once

#include <string_view>

#include "runner/stage/arena.h"
#include "runner/stage/time.h"
#include "runner/stage/value.h"

struct lua_State;

namespace millrace::lua {

// Values as Lua sees them: null is the light userdata 0, a list in a record or one made by a script is marked, numbers keep
// their subtype. All may raise Lua errors.

/// Nesting that a script may build, as the JSON decoder's.
inline constexpr int kMaxDepth = 32;

/// Pushes milliseconds since the epoch: an integer where there is no fraction.
void push_time(lua_State* L, Time time);

/// The milliseconds at `index` as a time, rounded to microseconds.
Time check_time(lua_State* L, int index, const char* what);

/// Pushes text or bytes; raises if the script may not have one so long.
void push_text(lua_State* L, std::string_view text);

/// The string at `index` in `arena`: text if it is valid UTF-8, else bytes.
Value text_value(lua_State* L, int index, Arena& arena);

bool is_utf8(std::string_view text);

/// Adds the globals `null` and `list`.
void open_values(lua_State* L);

/// Whether the table at `index` carries the mark of list{}.
bool is_marked_list(lua_State* L, int index);

}  // namespace millrace::lua
