#pragma once

// Internal to the room; shows Lua.

#include <lua.hpp>
#include <string_view>

namespace millrace::lua {

/// The string at `index`, as Lua holds it: valid while it is there. Inline, as each field that a script touches passes here.
inline std::string_view text_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* data = lua_tolstring(L, index, &size);
  return {data, size};
}

}  // namespace millrace::lua
