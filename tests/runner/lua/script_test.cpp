#include "runner/lua/script.h"

#include "script_run.h"

using namespace millrace;
using test::process_function;
using test::ScriptRun;

TEST_CASE("a script adds, renames and drops") {
  ScriptRun run(process_function(R"(
      if record.humidity > 80 then return nil end
      record.sum = record.temperature + record.humidity
      record.temp = record.temperature
      record.temperature = nil
      return record)"));
  CHECK(run.process(R"([{"temperature":20.5,"humidity":50},{"temperature":1,"humidity":90}])") ==
        R"({"humidity":50,"sum":70.5,"temp":20.5})");
  CHECK(run.dropped == 1);
  CHECK(run.errors.empty());
}

TEST_CASE("a list of records takes the record's place, in order") {
  ScriptRun run(process_function(R"(
      if record.n == 0 then return {} end
      local out = {record}
      for i = 2, record.n do out[i] = Record{n = i, of = record.n} end
      return out)"));
  CHECK(run.process(R"([{"n":0},{"n":1},{"n":3},{"n":0},{"n":0},{"n":0},{"n":2},{"n":1}])") ==
        "{\"n\":1}\n{\"n\":3}\n{\"n\":2,\"of\":3}\n{\"n\":3,\"of\":3}\n{\"n\":2}\n{\"n\":2,\"of\":2}\n{\"n\":1}");
  CHECK(run.dropped == 4);
  for (const Record& r : run.batch.records) CHECK(r.device == "porch");
}

TEST_CASE("many records out of one, over many records, keep their order") {
  ScriptRun run(process_function("local out = {} for i = 1, 5 do out[i] = Record{n = record.n * 10 + i} end return out"));
  std::string in = "[";
  std::string expected;
  for (int i = 1; i <= 200; ++i) {
    in += (i > 1 ? "," : "") + std::string("{\"n\":") + std::to_string(i) + "}";
    for (int k = 1; k <= 5; ++k)
      expected += (expected.empty() ? "" : "\n") + std::string("{\"n\":") + std::to_string(i * 10 + k) + "}";
  }
  CHECK(run.process(in + "]") == expected);
}

TEST_CASE("a record returned twice is two records that change apart") {
  ScriptRun run(process_function("return {record, record}"));
  CHECK(run.process(R"({"v":1})") == "{\"v\":1}\n{\"v\":1}");
  run.batch.records[0].fields.set(run.batch.arena(), "v", Value::integer(2));
  CHECK(ScriptRun::lines(run.batch) == "{\"v\":2}\n{\"v\":1}");
}

TEST_CASE("what process returns is a record, a list of records or nil; anything else is an error") {
  for (const char* wrong : {"return 5", "return true", "return 'x'", "return null", "return {1}", "return {record, null}",
                            "return meta", "return record.nested", "return function() end"}) {
    INFO(wrong);
    ScriptRun run(process_function(wrong));
    CHECK(run.process(R"({"nested":{"a":1}})").empty());
    REQUIRE(run.errors.size() == 1);
    CHECK_THAT(run.errors[0], Catch::Contains("process() must return the record"));
  }
}

TEST_CASE("a plain table of fields is no record, and says how to make one; an empty table is an empty list") {
  ScriptRun fields(process_function("return {dew = 1, comfort = 'dry'}"));
  CHECK(fields.process(R"({"v":1})").empty());
  REQUIRE(fields.errors.size() == 1);
  CHECK_THAT(fields.errors[0], Catch::Contains("process() returned a plain table; a new record is made by Record{"));
  ScriptRun none(process_function("return {}"));
  CHECK(none.process(R"({"v":1})").empty());
  CHECK(none.errors.empty());
}

TEST_CASE("an error rejects the record as it came in, with message and traceback, and variables live on") {
  ScriptRun run(R"(
count = 0
local function check(record)
  if record.bad then error("bad one") end
end
function process(record, meta)
  count = count + 1
  meta.device = "changed"
  record.extra = count
  record.v = nil
  record.nested.a = 9
  check(record)
  return record
end)");
  CHECK(run.process(R"([{"v":1,"bad":true,"nested":{"a":1}},{"v":2,"nested":{"a":1}}])") == R"({"nested":{"a":9},"extra":2})");
  REQUIRE(run.errors.size() == 1);
  CHECK_THAT(run.errors[0], Catch::StartsWith("rule.lua:4: bad one\nstack traceback:\n") &&
                                Catch::Contains("rule.lua:4: in ") && Catch::Contains("rule.lua:12: in function"));
  CHECK(run.rejected[0] == R"({"v":1,"bad":true,"nested":{"a":1}})");
}

TEST_CASE("init runs once, and again when the state was thrown away") {
  ScriptRun run(R"(
starts = 0
function init() starts = starts + 1 seen = 0 log("init") end
function process(record)
  seen = seen + 1
  while record.loop do end
  record.seen = seen
  return record
end)");
  REQUIRE(run.script.init().has_value());
  CHECK(run.process(R"([{"v":1},{"v":2},{"loop":true},{"v":3}])") ==
        "{\"v\":1,\"seen\":1}\n{\"v\":2,\"seen\":2}\n{\"v\":3,\"seen\":1}");
  CHECK(run.logs == std::vector<std::string>{"init", "init"});
  CHECK(run.script.restarts() == 1);
}

TEST_CASE("a script whose state cannot be built again rejects records and recovers") {
  ScriptRun run(R"(
function init() if os.time() > 1700000000 then error("not now") end end
function process(record) while record.loop do end return record end)");
  REQUIRE(run.script.init().has_value());
  CHECK(run.process(R"({"loop":true})").empty());
  run.now += 10s;
  CHECK(run.process(R"([{"v":1},{"v":2}])").empty());
  REQUIRE(run.errors.size() == 2);
  CHECK_THAT(run.errors[1], Catch::Contains("not now"));
  run.now -= 10s;
  CHECK(run.process(R"({"v":3})") == R"({"v":3})");
}

TEST_CASE("limits are the script's: a larger budget lets a long call end") {
  const std::string busy = process_function("local n = 0 for i = 1, 3000000 do n = n + 1 end record.n = n return record");
  CHECK(ScriptRun(busy).process("{}").empty());
  CHECK(ScriptRun(busy, {.instructions = 50000000}).process("{}") == R"({"n":3000000})");
  const std::string large = process_function("record.n = #(('0123456789abcdef'):rep(3 << 16)) return record");
  CHECK(ScriptRun(large).process("{}").empty());
  CHECK(ScriptRun(large, {.memory = 256U << 20U}).process("{}") == R"({"n":3145728})");
}

TEST_CASE("pcall, xpcall and coroutines work as in Lua, also across yields") {
  ScriptRun run(process_function(R"(
    local ok, why = pcall(error, {code = 7})
    record.code = why.code
    record.handled = select(2, xpcall(function() error("x", 0) end, function(e) return "handled " .. e end))
    record.passed = select(2, xpcall(function(a, b) return a + b end, print, 1, 2))
    record.handler_fails = select("#", xpcall(error, error))
    local co = coroutine.wrap(function(a)
      local _, b = pcall(function() return coroutine.yield(a + 1) end)
      local _, c = xpcall(function() error(coroutine.yield(b + 1)) end, function(e) return coroutine.yield(e + 1) end)
      return c
    end)
    record.steps = list{co(1), co(10), co(20), co(30)}
    local dead = coroutine.create(function() error("gone", 0) end)
    local _, gone = coroutine.resume(dead)
    record.gone = gone
    record.status = coroutine.status(dead)
    return record)"));
  CHECK(run.process("{}") ==
        R"({"code":7,"handled":"handled x","passed":3,"handler_fails":2,"steps":[2,11,21,30],"gone":"gone","status":"dead"})");
}

TEST_CASE("the table library works as in Lua") {
  ScriptRun run(process_function(R"(
    local t = {5, 3, 1}
    table.insert(t, 4) table.insert(t, 1, 9) table.sort(t)
    record.sorted = t
    table.sort(t, function(a, b) return a > b end)
    record.down = t
    record.removed = list{table.remove(t), table.remove(t, 1), table.remove({}) == nil, #t}
    record.moved = table.move({1, 2, 3}, 1, 3, 2)
    record.other = table.move({1, 2, 3}, 2, 3, 1, list{})
    record.text = table.concat({1, 2.5, "x"}, "-") .. table.concat({}) .. table.concat({1, 2, 3}, "", 2, 3)
    record.unpacked = select("#", table.unpack({1, nil, 3}, 1, 3))
    record.errors = list{pcall(table.insert, {}, 5, 1), pcall(table.concat, {{}}), pcall(table.sort, {1, "x"})}
    return record)"));
  CHECK(
      run.process("{}") ==
      R"({"sorted":[1,3,4,5,9],"down":[9,5,4,3,1],"removed":[1,9,true,3],"moved":[1,1,2,3],"other":[2,3],"text":"1-2.5-x23","unpacked":3,)"
      R"("errors":[false,false,false,"attempt to compare string with number"]})");
}

TEST_CASE("times and dates come from the stage's clock") {
  ScriptRun run(process_function(R"(
    record.now = now()
    record.time = os.time()
    record.iso = os.date("!%Y-%m-%dT%H:%M:%SZ")
    record.year = os.date("!*t", 0).year
    record.bad = select(2, pcall(os.date, "%Q"))
    return record)"));
  run.now = Time{1700000000250500us};
  CHECK(run.process("{}") == R"({"now":1700000000250.5,"time":1700000000,"iso":"2023-11-14T22:13:20Z","year":1970,)"
                             R"json("bad":"bad argument #1 to '?' (invalid conversion in the date's format)"})json");
}

TEST_CASE("a script's log is limited, and what was cut is said") {
  ScriptRun run(process_function("for i = 1, record.n do log('line ' .. i, 'warning') end print('a', 1, nil) return record"));
  run.process(R"({"n":100})");
  CHECK(run.logs.size() == 20);
  run.now += 1s;
  run.process(R"({"n":1})");
  REQUIRE(run.logs.size() == 23);
  CHECK_THAT(run.logs[20], Catch::Contains("81 lines too many"));
  CHECK(run.logs[22] == "a\t1\tnil");
}

TEST_CASE("random numbers are the same in every run") {
  const std::string source = process_function("record.r = math.random(1, 1000000) return record");
  CHECK(ScriptRun(source).process("[{},{}]") == ScriptRun(source).process("[{},{}]"));
}

TEST_CASE("a script that cannot be compiled or lacks process is invalid") {
  auto compile = [](std::string source, lua::Limits limits = {}) {
    auto compiled =
        lua::Script::compile(std::move(source), "rule.lua", limits, {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
    REQUIRE_FALSE(compiled.has_value());
    CHECK(compiled.error().kind == ErrorKind::invalid);
    return compiled.error().what;
  };
  CHECK_THAT(compile("function process(record)\n  x = = 1\nend"), Catch::StartsWith("rule.lua:2: unexpected symbol near '='"));
  CHECK_THAT(compile(""), Catch::StartsWith("rule.lua: the script defines no function process"));
  CHECK_THAT(compile("process = 5"), Catch::Contains("defines no function process"));
  CHECK_THAT(compile("\x1bLua"), Catch::StartsWith("rule.lua: attempt to load a binary chunk"));
  CHECK_THAT(compile("while true do end"), Catch::Contains("used up its 1000000 instructions"));
  CHECK_THAT(compile("x = " + std::string(100000, '(')), Catch::Contains("overflow"));
  CHECK_THAT(compile("function process() end", {.memory = 1000}), Catch::Contains("memory"));
}

TEST_CASE("a byte order mark before a script is skipped") {
  ScriptRun run("\xEF\xBB\xBF" + process_function("record.a = 1 return record"));
  CHECK(run.process("{}") == R"({"a":1})");
}

TEST_CASE("too little memory for the start is an error, wherever it runs out") {
  bool enough = false;
  for (std::size_t memory = 500; memory < 60000; memory += 100) {
    auto compiled = lua::Script::compile("local t = {1, 2, 3} function process() end", "rule.lua", {.memory = memory},
                                         {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
    if (!compiled) CHECK_THAT(compiled.error().what, Catch::Contains("memory"));
    enough = compiled.has_value();
  }
  CHECK(enough);
}

TEST_CASE("tick returns records made by Record") {
  ScriptRun run(
      "function process(r) kept = r return r end function tick(now) return {Record({at = now}, {kind = 'presence'}), Record()} "
      "end");
  REQUIRE(run.script.has_tick());
  run.process("{}");
  auto batch = run.script.tick(run.now + 5s);
  REQUIRE(batch.has_value());
  CHECK(ScriptRun::lines(*batch) == "{\"at\":1700000005000}\n{}");
  CHECK(batch->records[0].kind == "presence");
  CHECK(batch->records[0].time == run.now);

  ScriptRun wrong("function process(r) kept = r return r end function tick(now) return kept end");
  wrong.process("{}");
  auto failed = wrong.script.tick(run.now);
  REQUIRE_FALSE(failed.has_value());
  CHECK_THAT(failed.error().what, Catch::Contains("lives only during the call"));
}
