#include <catch2/catch.hpp>
#include <lua.hpp>
#include <string>

#include "runner/lua/interpreter.h"

using namespace millrace;

namespace {

/// Runs in both: results of every function that takes a pattern, written out, for case `n` of a fixed sequence.
const char* const kCases = R"lua(
local pieces = {"a", "b", ".", "%a", "%d", "%s", "%w", "%W", "%x", "%p", "[abc]", "[^a]", "[a-c%d]", "[]]", "[^]]", "[%]a-]", "[a-]", "%.", "%%",
                "(", ")", "()", "(a*)", "(.-)", "(%w+)", "%1", "%2", "%b()", "%bxy", "%f[%w]", "%f[^%w]", "^", "$", "-", "x", "\0", "[\0-\31]", "é"}
local quantifiers = {"", "", "", "", "*", "+", "-", "?"}
local subjects = {"", "a", "aaa", "abcabc", "hello world", "key = value", "(a(b)c)d", "xaxbyy", "  trim  ", "2023-11-14T22:13:20", "a.b.c", "%d+",
                  "aaab", "THE (quick) fox", "\0a\0b", "[x]", "a]b-c", "été", "1,2,,3", ("ab"):rep(20)}
local replacements = {"", "<%0>", "%1", "[%1%2]", "%%", function(a, b) return b end, function() return false end, {a = "A", ab = 1, ["hello"] = true}}
local seed = 1
local function random(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed // 65536 % n + 1 end

local function show(...)
  local out = {}
  for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
  return table.concat(out, "|")
end
local function try(f, ...)
  local r = table.pack(pcall(f, ...))
  if not r[1] then return "error" end
  return show(table.unpack(r, 2, r.n))
end

function case(n)
  seed = n * 7919
  random(2); random(2)
  local pattern = random(6) == 1 and "^" or ""
  for _ = 1, random(5) do pattern = pattern .. pieces[random(#pieces)] .. quantifiers[random(#quantifiers)] end
  local s = subjects[random(#subjects)]
  local from = random(12) - 6
  local out = {("%q %q %d"):format(s, pattern, from)}
  out[#out + 1] = try(string.find, s, pattern)
  out[#out + 1] = try(string.find, s, pattern, from)
  out[#out + 1] = try(string.find, s, pattern, from, true)
  out[#out + 1] = try(string.match, s, pattern)
  out[#out + 1] = try(string.match, s, pattern, from)
  for _, r in ipairs{replacements[random(#replacements)], replacements[random(#replacements)]} do
    out[#out + 1] = try(string.gsub, s, pattern, r)
    out[#out + 1] = try(string.gsub, s, pattern, r, random(4) - 1)
  end
  out[#out + 1] = try(function()
    local all = {}
    for a, b in string.gmatch(s, pattern, from) do all[#all + 1] = show(a, b); if #all > 100 then break end end
    return table.concat(all, ";")
  end)
  return table.concat(out, "\n")
end)lua";

std::string run_case(lua_State* L, int n) {
  lua_getglobal(L, "case");
  lua_pushinteger(L, n);
  const bool done = lua_pcall(L, 1, 1, 0) == LUA_OK;
  std::string text = (done ? "" : "failed: ") + std::string(luaL_tolstring(L, -1, nullptr));
  lua_settop(L, 0);
  return text;
}

struct RealLua {
  lua_State* L = luaL_newstate();
  RealLua() {
    luaL_openlibs(L);
    REQUIRE(luaL_dostring(L, kCases) == LUA_OK);
  }
  ~RealLua() { lua_close(L); }
};

}  // namespace

TEST_CASE("find, match, gmatch and gsub give what Lua's own give, on generated patterns") {
  RealLua real;
  auto ours = lua::Interpreter::open({.instructions = 50000000}, {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
  REQUIRE(ours);
  REQUIRE((*ours)->run(kCases, "cases"));
  int errors = 0;
  for (int n = 1; n <= 20000; ++n) {
    (*ours)->budget().refill();
    const std::string expected = run_case(real.L, n);
    const std::string got = run_case((*ours)->state(), n);
    if (expected.find("error") != std::string::npos) ++errors;
    if (got != expected) {
      CHECK(got == expected);
      return;
    }
  }
  // Neither all malformed nor all fine.
  CHECK(errors > 100);
  CHECK(errors < 18000);
}
