#include "runner/lua/records.h"

#include "script_run.h"

using namespace millrace;
using test::process_function;
using test::ScriptRun;

TEST_CASE("a no-op script returns every value as it came") {
  const char* const corpus[] = {
      R"({"i":9223372036854775807,"j":-9223372036854775808,"one":1,"real":1.0,"zero":0,"minus":-0.0,"huge":1e300,"tiny":5e-324,"third":0.3333333333333333})",
      R"({"null":null,"list":[],"object":{},"nested":{"list":[[],[{}],{"a":[null]}],"object":{"x":{}}},"true":true,"false":false})",
      R"({"text":"","unicode":"åß∂ 漢字 😀","escaped":"\"\\\n\u0000\u001f","z":1,"a":2,"m":3})", R"({})",
      R"({"":1,"a b":2,"device":"field","time":"field","meta":3})"};
  ScriptRun touch(process_function("for k, v in pairs(record) do record[k] = v end return record"));
  ScriptRun copy(process_function("return Record(record)"));
  ScriptRun idle(process_function("return record"));
  for (const char* json : corpus) {
    INFO(json);
    for (ScriptRun* run : {&idle, &touch, &copy}) {
      Batch before;
      REQUIRE(JsonDecoder().decode(json, before).has_value());
      run->process(json);
      REQUIRE(run->errors == std::vector<std::string>{});
      REQUIRE(run->batch.size() == 1);
      CHECK(Value::object(run->batch.records[0].fields.view()) == Value::object(before.records[0].fields.view()));
      CHECK(ScriptRun::lines(run->batch) == ScriptRun::lines(before));
    }
  }
}

TEST_CASE("absent, null, empty list and empty object stay four things") {
  ScriptRun run(process_function(R"(
    record.kinds = list{record.absent == nil, record.null == null, #record.list, #record.object, type(null), tostring(null)}
    record.made = {l = list{}, o = {}, n = null, gone = nil, some = {1, null, list{2}}}
    return record)"));
  CHECK(
      run.process(R"({"null":null,"list":[],"object":{}})") ==
      R"({"null":null,"list":[],"object":{},"kinds":[true,true,0,0,"userdata","null"],"made":{"l":[],"n":null,"o":{},"some":[1,null,[2]]}})");
}

TEST_CASE("integers and doubles keep their kind through a script's arithmetic") {
  ScriptRun run(process_function("record.a = record.i + 1 record.b = record.r + 1 record.c = record.i / 1 return record"));
  CHECK(run.process(R"({"i":9007199254740993,"r":1.0})") ==
        R"({"i":9007199254740993,"r":1.0,"a":9007199254740994,"b":2.0,"c":9007199254740992.0})");
}

TEST_CASE("a string that is not UTF-8 becomes bytes, bytes are read as strings") {
  ScriptRun run(process_function("record.b = string.char(255, 0) .. 'x' record.n = #record.raw return record"));
  run.process("{}");
  REQUIRE(run.errors.size() == 1);
  Batch batch;
  batch.append().fields.push(batch.arena(), "raw", Value::bytes(std::string_view("\xff\x00", 2)));
  run.batch = std::move(batch);
  run.process_batch();
  REQUIRE(run.errors == std::vector<std::string>{});
  const FieldList& fields = run.batch.records[0].fields;
  CHECK(*fields.find("b") == Value::bytes(std::string_view("\xff\x00x", 3)));
  CHECK(*fields.find("n") == Value::integer(2));
}

TEST_CASE("fields are walked in their order, also while they are removed or changed") {
  ScriptRun run(process_function(R"(
    local names = list{}
    for name, value in pairs(record) do
      names[#names + 1] = name
      if value == 0 then record[name] = nil else record[name] = value + 1 end
    end
    record.names = names
    record.count = #record
    return record)"));
  CHECK(run.process(R"({"z":0,"y":0,"a":1,"k":0,"b":2,"c":0})") ==
        R"({"a":2,"b":3,"names":["z","y","a","k","b","c"],"count":3})");
}

TEST_CASE("nested values are read and written in place") {
  ScriptRun run(process_function(R"(
    local acc = record.acc
    acc.x = acc.x * 2
    acc.w = 4
    acc.z = nil
    record.deep.list[2].v = "set"
    record.deep.list[#record.deep.list + 1] = {new = true}
    record.same = record.acc == acc and record.acc.w == 4
    return record)"));
  CHECK(run.process(R"({"acc":{"x":1,"y":2,"z":3},"deep":{"list":[{"v":1},{"v":2}]}})") ==
        R"({"acc":{"x":2,"y":2,"w":4},"deep":{"list":[{"v":1},{"v":"set"},{"new":true}]},"same":true})");
}

TEST_CASE("assigning a nested value copies it") {
  ScriptRun run(process_function(R"(
    record.b = record.a
    record.a.inner.x = 2
    record.b.inner.x = 3
    local old = record.a
    record.a = {replaced = true}
    old.inner.x = 4
    record.c = old
    old.inner.x = 5
    record.whole = record
    return record)"));
  CHECK(run.process(R"({"a":{"inner":{"x":1}}})") ==
        R"({"a":{"replaced":true},"b":{"inner":{"x":3}},"c":{"inner":{"x":4}},)"
        R"("whole":{"a":{"replaced":true},"b":{"inner":{"x":3}},"c":{"inner":{"x":4}}}})");
}

TEST_CASE("the table library works on lists in records") {
  ScriptRun run(process_function(R"(
    local l = record.l
    table.insert(l, 1, 0) table.insert(l, 9) table.remove(l, 2)
    table.sort(l, function(a, b) return a > b end)
    record.text = table.concat(l, ",")
    record.sum = 0
    for i, v in ipairs(l) do record.sum = record.sum + v end
    for i, v in pairs(l) do record.last = i end
    record.largest = math.max(table.unpack(l))
    l[#l] = nil
    return record)"));
  CHECK(run.process(R"({"l":[5,3,4]})") == R"({"l":[9,4,3],"text":"9,4,3,0","sum":16,"last":4,"largest":9})");
}

TEST_CASE("objects keep their order in a list whose elements move") {
  ScriptRun run(
      process_function("local first = record.l[1] table.remove(record.l, 1) first.v = 9 record.first = first return record"));
  CHECK(run.process(R"({"l":[{"v":1},{"v":2},{"v":3}]})") == R"({"l":[{"v":2},{"v":3}],"first":{"v":9}})");
}

TEST_CASE("what cannot be in a record is refused with a reason") {
  const std::pair<const char*, const char*> cases[] = {
      {"record.f = print", "a function cannot be stored"},
      {"record.f = coroutine.create(print)", "a thread cannot be stored"},
      {"record[1] = 2", "a field's name must be a string, got number"},
      {"record.t = {1, 2, x = 3}", "has both"},
      {"record.t = {[1.5] = 1}", "names must be strings, got 1.5"},
      {"record.t = list{1, nil, 3}", "hole"},
      {"record.l[5] = 1", "a list of 2 can be set at 1 to 3, not at 5"},
      {"record.l.x = 1", "a list of 2 can be set at 1 to 3, not at x"},
      {"record.l[1] = nil", "use null, or table.remove"},
      {"record.m = meta", "meta cannot be stored"},
      {"meta.topic = 'x'", "device, time and kind can be set, not 'topic'"},
      {"meta.time = 'x'", "meta.time must be a number of milliseconds since the epoch, got x"},
      {"meta.time = 0/0", "milliseconds since the epoch"},
      {"meta.time = 1e300", "milliseconds since the epoch"},
      {"meta.device = 5", "meta.device must be a string, got number"},
      {"local x = record.n + 1", "cannot calculate with null (the field last read as null is 'n')"},
      {"local x = record.n .. ''", "cannot calculate with null"},
      {"local x = record.n.y", "cannot read a field of null (the field last read as null is 'n')"},
      {"local x = record.l + 1", "cannot apply 'add' to a record, object or list"},
      {"local x = record.n < 1", "cannot calculate with null"},
      {"for k in pairs(null) do end", "cannot iterate over null"},
      {"Record(5)", "a table of fields, a record or an object expected"},
      {"Record({1, 2})", "a table of fields, a record or an object expected"},
      {"Record({}, {topic = 'x'})", "can be set, not 'topic'"}};
  for (const auto& [body, because] : cases) {
    INFO(body);
    ScriptRun run(process_function(body + std::string(" return record")));
    run.process(R"({"n":null,"l":[1,2]})");
    REQUIRE(run.errors.size() == 1);
    CHECK_THAT(run.errors[0], Catch::Contains(because));
  }
}

TEST_CASE("a record kept beyond its call is refused, not another record") {
  ScriptRun run(R"(
function process(record, meta)
  if kept then
    record.kept = pcall(function() return kept.v end)
    record.nested = pcall(function() return nested.x end)
    record.meta = pcall(function() return old_meta.device end)
    record.returned = pcall(next_of, kept)
  end
  kept, nested, old_meta, next_of = record, record.o, meta, pairs(record)
  return record
end)");
  CHECK(
      run.process(R"([{"v":1,"o":{"x":1}},{"v":2,"o":{"x":2}}])") ==
      "{\"v\":1,\"o\":{\"x\":1}}\n{\"v\":2,\"o\":{\"x\":2},\"kept\":false,\"nested\":false,\"meta\":false,\"returned\":false}");
}

TEST_CASE("meta is readable, and device, time and kind can be set") {
  ScriptRun run(process_function(R"(
    record.read = list{meta.device, meta.time, meta.kind, meta.arrival, meta.topic, meta.absent == nil, record.device == nil}
    meta.device = meta.device .. "/1"
    meta.time = meta.time + 0.5
    meta.kind = "presence"
    return record)"));
  CHECK(run.process("{}") == R"({"read":["porch",1700000000000,"telemetry",1700000000000,"devices/porch",true,true]})");
  const Record& r = run.batch.records[0];
  CHECK(r.device == "porch/1");
  CHECK(r.time == run.now + 500us);
  CHECK(r.kind == "presence");
}

TEST_CASE("new records take the meta of the record in hand unless told") {
  ScriptRun run(process_function(R"(
    local other = Record({v = 1}, {device = "cellar", time = 1000.25, kind = "x"})
    other.added = other.v + 1
    return {Record(), other, Record(other), Record(record.o), Record(record, {device = "copy"})})"));
  CHECK(run.process(R"({"o":{"b":1,"a":2}})") ==
        "{}\n{\"v\":1,\"added\":2}\n{\"v\":1,\"added\":2}\n{\"b\":1,\"a\":2}\n{\"o\":{\"b\":1,\"a\":2}}");
  REQUIRE(run.batch.size() == 5);
  CHECK(run.batch.records[0].device == "porch");
  CHECK(run.batch.records[0].meta.find("topic") != nullptr);
  CHECK(run.batch.records[1].device == "cellar");
  CHECK(run.batch.records[1].time == Time{1000250us});
  CHECK(run.batch.records[2].device == "cellar");
  CHECK(run.batch.records[4].device == "copy");
}

TEST_CASE("objects of a new record are written in place where there is no record in hand") {
  ScriptRun run(
      "function process(r) return r end function tick(now) local r = Record{o = {x = 1}} r.o.x = 2 r.o.y = 3 return r end");
  auto batch = run.script.tick(run.now);
  REQUIRE(batch.has_value());
  CHECK(ScriptRun::lines(*batch) == R"({"o":{"x":2,"y":3}})");
}

TEST_CASE("a record shows itself as text") {
  ScriptRun run(process_function("record.text = tostring(record) .. tostring(record.o) return record"));
  CHECK(run.process(R"({"a":1.0,"o":{"l":[]}})") ==
        R"({"a":1.0,"o":{"l":[]},"text":"{\"a\":1.0,\"o\":{\"l\":[]}}{\"l\":[]}"})");
}

TEST_CASE("a text longer than the script may read passes by untouched") {
  const std::string json = R"({"long":")" + std::string(2U << 20U, 'x') + R"(","v":1})";
  CHECK(ScriptRun(process_function("record.v = 2 return record")).process(json).size() == json.size());
  ScriptRun reading(process_function("local x = record.long return record"));
  reading.process(json);
  REQUIRE(reading.errors.size() == 1);
  CHECK_THAT(reading.errors[0], Catch::Contains("longer (2097152 bytes) than a script may read (1048576"));
}

TEST_CASE("records with very many fields work") {
  ScriptRun run(process_function(
      "for i = 1, 2000 do record['f' .. i] = i end for i = 1, 2000, 2 do record['f' .. i] = nil end return record"));
  run.process("{}");
  REQUIRE(run.errors == std::vector<std::string>{});
  REQUIRE(run.batch.records[0].fields.size() == 1000);
  CHECK(*run.batch.records[0].fields.find("f1998") == Value::integer(1998));
}
