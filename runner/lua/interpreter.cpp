#include "runner/lua/interpreter.h"

#include <fmt/format.h>

#include <cassert>
#include <iterator>
#include <lua.hpp>
#include <utility>

#include "runner/lua/libraries.h"

namespace millrace::lua {
namespace {

constexpr int kTracebackLevels = 16;
constexpr int kLogsPerSecond = 20;
constexpr std::size_t kMaxLogLine = 2000;
constexpr std::size_t kMaxMessage = 4000;

int open_libraries(lua_State* L) {
  open_base(L);
  open_coroutines(L);
  open_strings(L);
  open_tables(L);
  open_time(L);
  return 0;
}

/// Written without Lua's allocator, which may have nothing left.
std::string traceback(lua_State* L) {
  std::string text;
  lua_Debug frame;
  for (int level = 1, shown = 0; lua_getstack(L, level, &frame) && shown < kTracebackLevels; ++level) {
    lua_getinfo(L, "Sln", &frame);
    if (frame.what[0] == 'C' && (!frame.name || std::string_view(frame.namewhat) == "metamethod")) continue;
    ++shown;
    if (frame.currentline > 0) {
      fmt::format_to(std::back_inserter(text), "\n  {}:{}: in ", frame.short_src, frame.currentline);
    } else {
      fmt::format_to(std::back_inserter(text), "\n  {}: in ", frame.short_src);
    }
    if (frame.what[0] == 'm') {
      text += "main chunk";
    } else if (frame.name) {
      fmt::format_to(std::back_inserter(text), "function '{}'", frame.name);
    } else {
      fmt::format_to(std::back_inserter(text), "function <{}:{}>", frame.short_src, frame.linedefined);
    }
  }
  return text;
}

}  // namespace

Interpreter::Interpreter(Limits limits, Outside outside) : budget_(limits), outside_(std::move(outside)) {}

Interpreter::~Interpreter() {
  if (state_) lua_close(state_);
}

Interpreter& Interpreter::of(lua_State* L) { return **static_cast<Interpreter**>(lua_getextraspace(L)); }

Result<std::unique_ptr<Interpreter>> Interpreter::open(Limits limits, Outside outside) {
  std::unique_ptr<Interpreter> self(new Interpreter(limits, std::move(outside)));
  lua_State* L = self->state_ = lua_newstate(&Budget::allocate, &self->budget_);
  if (!L) return invalid(fmt::format("the script's memory, {} KiB, has no room for Lua itself", limits.memory / 1024));
  *static_cast<Interpreter**>(lua_getextraspace(L)) = self.get();
  lua_gc(L, LUA_GCSTOP);
  lua_pushcfunction(L, open_libraries);
  if (Result<void> opened = self->call(0, 0); !opened) return invalid("cannot open Lua's libraries: " + opened.error().what);
  lua_gc(L, LUA_GCRESTART);
  lua_sethook(L, Budget::count_hook, LUA_MASKCOUNT, Budget::kHookInterval);
  return self;
}

Result<void> Interpreter::run(std::string_view source, const std::string& name) {
  budget_.refill();
  // Some editors begin a text with a byte order mark. Lua's own loader of files skips it, too.
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  if (source.starts_with(mark)) source.remove_prefix(mark.size());
  if (luaL_loadbufferx(state_, source.data(), source.size(), ("@" + name).c_str(), "t") != LUA_OK) {
    std::size_t size = 0;
    const char* text = lua_tolstring(state_, -1, &size);
    std::string why = text ? std::string(text, size) : std::string("cannot be compiled");
    lua_pop(state_, 1);
    return invalid(why.starts_with(name + ":") ? why : fmt::format("{}: {}", name, why));
  }
  return call(0, 0);
}

bool Interpreter::defines(const char* function) const {
  lua_rawgeti(state_, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushstring(state_, function);
  bool found = lua_rawget(state_, -2) == LUA_TFUNCTION;
  lua_pop(state_, 2);
  return found;
}

Result<void> Interpreter::call(int arguments, int results) {
  const int handler = lua_gettop(state_) - arguments;
  lua_pushcfunction(state_, on_error);
  lua_insert(state_, handler);
  traceback_.clear();
  int status = lua_pcall(state_, arguments, results, handler);
  lua_remove(state_, handler);
  if (status == LUA_OK && !lost()) return {};
  if (status == LUA_OK) lua_settop(state_, handler - 1);
  return error_from(status);
}

int Interpreter::on_error(lua_State* L) {
  // Hooks may be off here, so nothing of the script's may run.
  of(L).traceback_ = traceback(L);
  return 1;
}

Error Interpreter::error_from(int status) {
  if (status == LUA_ERRMEM && !lost()) budget_.spend_memory();
  std::string what;
  if (lost()) {
    what = "the script " + budget_.message();
  } else {
    what = describe_error_object();
  }
  if (status != LUA_OK) lua_pop(state_, 1);
  if (what.size() > kMaxMessage) what = what.substr(0, kMaxMessage) + "...";
  if (!traceback_.empty()) what += "\nstack traceback:" + traceback_;
  return rejected(std::move(what));
}

std::string Interpreter::describe_error_object() {
  if (lua_type(state_, -1) == LUA_TSTRING) return lua_tostring(state_, -1);
  const char* type = luaL_typename(state_, -1);
  // Its __tostring is the script's code: it runs protected, within what is left of the budget.
  lua_pushcfunction(state_, [](lua_State* L) {
    luaL_tolstring(L, 1, nullptr);
    return 1;
  });
  lua_pushvalue(state_, -2);
  std::string text = fmt::format("the script raised a {} as its error", type);
  if (lua_pcall(state_, 1, 1, 0) == LUA_OK && lua_type(state_, -1) == LUA_TSTRING) {
    text += ": ";
    text += lua_tostring(state_, -1);
  }
  lua_pop(state_, 1);
  return lost() ? "the script " + budget_.message() : text;
}

void Interpreter::log(LogLevel level, std::string_view text) {
  Time now = outside_.now();
  if (now < log_second_ || now - log_second_ >= 1s) {
    if (logged_ > kLogsPerSecond) {
      outside_.log(LogLevel::warning, fmt::format("the script logged {} lines too many in a second; they are not shown",
                                                  logged_ - kLogsPerSecond));
    }
    log_second_ = now;
    logged_ = 0;
  }
  if (++logged_ <= kLogsPerSecond) outside_.log(level, text.substr(0, kMaxLogLine));
}

}  // namespace millrace::lua
