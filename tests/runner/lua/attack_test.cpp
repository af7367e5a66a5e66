// Everything a script could do to stop its pipeline: each ends within the budget, its record is rejected as it came in, and the
// next record is processed as if nothing had been.

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "script_run.h"

using namespace millrace;
using test::ScriptRun;

namespace {

struct Attack {
  const char* name;
  const char* body;     // of a function that runs when record.attack is true
  const char* because;  // in the error
};

constexpr const char* kSpent = "used up its 1000000 instructions";
constexpr const char* kMemory = "of memory";

const std::vector<Attack> kEndless{
    {"a bare loop", "while true do end", kSpent},
    {"a loop inside pcall", "while true do pcall(function() while true do end end) end", kSpent},
    {"pcall of pcall", "local function f() pcall(f) while true do end end f()", kSpent},
    {"a loop inside a coroutine", "coroutine.wrap(function() while true do end end)()", kSpent},
    {"coroutines resumed for ever", "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
     kSpent},
    {"coroutines too short to be counted",
     "local function spawn() for i = 1, 20 do coroutine.wrap(spawn)() end end while true do pcall(spawn) end", kSpent},
    {"a coroutine that yields for ever",
     "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end", kSpent},
    {"a loop in a sort's comparator", "table.sort({3, 2, 1}, function(a, b) while true do end end)", kSpent},
    {"a sort that never agrees", "local t = {} for i = 1, 30000 do t[i] = i * 7919 % 30011 end while true do table.sort(t) end",
     kSpent},
    {"a sort whose comparator is a C function",
     "local t = {} for i = 1, 30000 do t[i] = i end while true do pcall(table.sort, t, rawequal) end", kSpent},
    {"a handler of xpcall that loops",
     "xpcall(function() while true do end end, function() while true do end end) while true do end", kSpent},
    {"a handler of xpcall that loops after a plain error", "while true do xpcall(error, function() while true do end end) end",
     kSpent},
    {"errors in handlers of handlers", "local function h() error('again') end while true do xpcall(error, h) end", kSpent},
    {"a finalizer added late",
     "local mt = {} setmetatable({}, mt) mt.__gc = function() while true do end end while true do end", kSpent},
    {"a closing value added late",
     "local mt = {} local o = setmetatable({}, mt) mt.__close = function() while true do end end "
     "while true do pcall(function() local x <close> = o while true do end end) end",
     kSpent},
    {"a coroutine closed with a looping __close",
     "local mt = {} local o = setmetatable({}, mt) mt.__close = function() while true do end end "
     "local co = coroutine.create(function() local x <close> = o coroutine.yield() end) coroutine.resume(co) "
     "coroutine.close(co)",
     kSpent},
    {"a metamethod that calls itself",
     "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) while true do end end return t.x", kSpent},
    {"__tostring that loops", "tostring(setmetatable({}, {__tostring = function() while true do end end}))", kSpent},
    {"an error object whose __tostring loops", "error(setmetatable({}, {__tostring = function() while true do end end}))",
     kSpent},
    {"a pattern that backtracks for ever", "return (('a'):rep(200)):find(('.-'):rep(6) .. 'b')", kSpent},
    {"a pattern inside pcall", "while true do pcall(string.match, ('a'):rep(200), ('.*'):rep(8) .. 'b') end", kSpent},
    {"a pattern in gsub", "return (('a'):rep(300)):gsub(('a-'):rep(8) .. 'b', '')", kSpent},
    {"a pattern in gmatch", "for w in (('a'):rep(300)):gmatch(('a?'):rep(30) .. ('a*'):rep(8) .. 'b') do end", kSpent},
    {"balanced pairs over and over", "local s = ('(((((((((((((((('):rep(6000) while true do s:find('%b()') end", kSpent},
    {"a plain find over and over", "local s = ('0123456789abcdef'):rep(60000) while true do s:find('x', 1, true) end", kSpent},
    {"back references over and over", "local s = ('aaaaaaaaaaaaaaaa'):rep(12000) while true do s:find('^(.+)%1b') end", kSpent},
    {"a huge table.move", "table.move({}, 1, math.maxinteger - 1, 2)", kSpent},
    {"table.insert at a huge length", "table.insert(setmetatable({}, {__len = function() return 1 << 52 end}), 1, 'x')",
     kSpent},
    {"table.remove at a huge length", "table.remove(setmetatable({}, {__len = function() return 1 << 52 end}), 1)", kSpent},
    {"table.concat of a huge range", "table.concat(setmetatable({}, {__index = type}), '', 1, 1 << 52)", kSpent},
    {"comparing long texts",
     "local a, b = ('0123456789abcdef'):rep(60000) .. 'b', ('0123456789abcdef'):rep(60000) .. 'c' while true do local _ = a < "
     "b end",
     nullptr},
    {"building long texts", "local s = ('0123456789abcdef'):rep(60000) while true do local t = s .. 'b' end", kSpent},
    {"changing the case of a long text", "local s = ('0123456789abcdef'):rep(60000) while true do s:upper() end", kSpent},
    {"utf8 functions on a long text", "local s = ('0123456789abcdef'):rep(60000) while true do utf8.len(s) end", kSpent},
    {"numbers from a long text", "local s = ('                '):rep(60000) while true do tonumber(s) end", kSpent},
    {"next over a table emptied by hand",
     "local t = {} for i = 1, 60000 do t[i] = i end for i = 1, 60000 do t[i] = nil end "
     "while true do next(t) end",
     nullptr},
    {"writing long texts into the record", "local s = ('0123456789abcdef'):rep(60000) while true do record.x = s end", kSpent},
    {"endless new records", "while true do Record(record) end", nullptr},
    {"nested values without end", "record.l = list{} while true do local l = record.l; l[#l + 1] = {1}; local x = l[#l] end",
     nullptr},
    {"copying a large object over and over",
     "local t = {} for i = 1, 9000 do t['k' .. i] = i end record.o = t local o = record.o while true do record.p = o o.k1 = 2 "
     "end",
     kSpent},
    {"writing deep inside a large object",
     "local t = {} for i = 1, 9000 do t['k' .. i] = i end t.z = {} record.o = t local z = record.o.z "
     "while true do z.x = 1 end",
     kSpent},
    {"returning one record a million times", "local t = {} for i = 1, 150000 do t[i] = record end return t", kSpent},
    {"logging for ever", "while true do log('x') end", kSpent},
};

const std::vector<Attack> kGreedy{
    {"a table that grows", "local t = {} for i = 1, math.huge do t[i] = ('x'):rep(1000) .. i end", nullptr},
    {"a table that grows inside pcall", "while true do pcall(function() local t = {} while true do t[#t + 1] = {} end end) end",
     nullptr},
    {"a string that doubles", "local s = 'x' while true do s = s .. s end", "longer than 1024 KiB"},
    {"a buffer that grows", "local t = {} for i = 1, 3000 do t[i] = ('x'):rep(1000) end local s = table.concat(t)", nullptr},
    {"string.pack with padding", "string.pack('c900000000', '')", nullptr},
    {"string.format with widths",
     "return ('%99d'):rep(10000):format(table.unpack((function() local t = {} for i = 1, 10000 do t[i] = i end return t "
     "end)()))",
     nullptr},
    {"recursion", "local function f() return 1 + f() end return f()", nullptr},
    {"recursion inside pcall", "local function f() pcall(f) return f() + 1 end return f()", nullptr},
    {"recursion through C", "local function f(s) return (s:gsub('.', f)) end return f('x')", "C stack overflow"},
    {"recursion through tostring",
     "local mt = {} mt.__tostring = function(t) return tostring(t) end return tostring(setmetatable({}, mt))",
     "C stack overflow"},
    {"a table that holds itself", "local t = {} t.t = t record.x = t", "nested deeper than 32"},
};

const std::vector<Attack> kRefused{
    {"string.rep to a gigabyte", "return ('x'):rep(1 << 30)", "resulting string too large"},
    {"os.execute", "os.execute('true')", "nil value (field 'execute')"},
    {"io", "io.open('/etc/passwd')", "nil value (global 'io')"},
    {"load", "load('return 1')", "nil value (global 'load')"},
    {"bytecode", "string.dump(function() end)", "nil value (field 'dump')"},
    {"require", "require('os')", "nil value (global 'require')"},
    {"debug", "debug.sethook()", "nil value (global 'debug')"},
    {"collectgarbage", "collectgarbage('stop')", "nil value (global 'collectgarbage')"},
    {"a finalizer", "setmetatable({}, {__gc = function() while true do end end})", "__gc is not offered"},
    {"a closing metamethod", "setmetatable({}, {__close = function() end})", "__close is not offered"},
    {"the strings' metatable", "getmetatable('').__index = nil", "attempt to index a boolean value"},
    {"the handles' metatable", "getmetatable(record).__index = nil", "attempt to index a boolean value"},
    {"the lists' metatable", "setmetatable(list{}, {})", "protected metatable"},
    {"yielding out of process", "coroutine.yield()", "outside a coroutine"},
    {"unpacking to exhaustion", "return table.unpack({}, 1, 1e8)", "too many results"},
    {"a table as error", "error({code = 7})", "raised a table"},
    {"nil as error", "error(nil)", "raised a nil"},
    {"an error object with text", "error(setmetatable({}, {__tostring = function() return 'seven' end}))", "seven"},
};

void run_all(const std::vector<Attack>& attacks) {
  for (const Attack& attack : attacks) {
    INFO(attack.name);
    ScriptRun run("count = 0\nfunction process(record, meta)\ncount = count + 1 record.count = count\nif record.attack then\n" +
                  std::string(attack.body) + "\nend\nreturn record end");
    std::string out = run.process(R"([{"attack":false,"v":1},{"attack":true,"v":2.5,"n":null},{"attack":false,"v":3}])");
    REQUIRE(run.errors.size() == 1);
    // Under a sanitizer, or where the machine is slow, the processor's time may run out before the instructions do.
    const bool out_of_time = attack.because == kSpent && run.errors[0].find("kept the processor") != std::string::npos;
    if (attack.because && !out_of_time) CHECK_THAT(run.errors[0], Catch::Contains(attack.because));
    CHECK(run.rejected[0] == R"({"attack":true,"v":2.5,"n":null})");
    // A state thrown away counts from the start again, any other goes on.
    CHECK(out == std::string(R"({"attack":false,"v":1,"count":1})") + "\n" + R"({"attack":false,"v":3,"count":)" +
                     (run.script.restarts() ? "1}" : "3}"));
    CHECK(run.script.memory_used() <= 64U << 20U);
  }
}

}  // namespace

TEST_CASE("a script that does not end is ended") { run_all(kEndless); }

TEST_CASE("a script that takes all memory is stopped") { run_all(kGreedy); }

TEST_CASE("a batch of records that all attack does not grow without end") {
  ScriptRun run(test::process_function("local s = ('0123456789abcdef'):rep(60000) while true do record.x = s end"));
  std::string in = "[{}";
  for (int i = 0; i < 30; ++i) in += ",{}";
  CHECK(run.process(in + "]").empty());
  CHECK(run.errors.size() == 31);
  CHECK(run.batch.arena().used() < 66U << 20U);
}

TEST_CASE("a script that makes records without end is bounded for each batch") {
  ScriptRun run(test::process_function("local t = {} for i = 1, 5000 do t[i] = Record() end return t"), {.memory = 8U << 20U});
  std::string in = "[{}";
  for (int i = 0; i < 30; ++i) in += ",{}";
  run.process(in + "]");
  CHECK(run.batch.size() * sizeof(Record) <= 8U << 20U);
  CHECK(run.batch.size() >= 5000);
  REQUIRE_FALSE(run.errors.empty());
  CHECK(run.process("{}").size() > 5000);
}

TEST_CASE("an error's text is cut to a length for people") {
  ScriptRun run(test::process_function("error(('x'):rep(1000000))"));
  run.process("{}");
  CHECK(run.errors.at(0).size() < 5000);
}

TEST_CASE("ways out of the sandbox are closed") { run_all(kRefused); }
