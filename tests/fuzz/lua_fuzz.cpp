#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "broken.h"
#include "runner/lua/script.h"
#include "runner/stage/json.h"

// Promises of the sandbox, held against any script: it ends, each record is returned, dropped or rejected as it came in, and
// what is left in the batch is whole. An input is a script after the line "lua:", else each byte picks a statement, so that
// chance writes programs that compile.

namespace {

using namespace millrace;
using millrace::fuzz::broken;

constexpr std::string_view kRecords =
    R"([{"n":1,"r":1.5,"s":"text","z":null,"o":{"x":1,"p":{"y":[1,{"k":2}]}},"l":[1,[2,3],{"v":4}],"e":[],"f":{}},{"l":[],"o":{}},{}])";

constexpr std::array<std::string_view, 56> kStatements{"a = record",
                                                       "a = a.o",
                                                       "a = a.p",
                                                       "a = a.l",
                                                       "a = a[1]",
                                                       "a = a[2]",
                                                       "a = a[3]",
                                                       "a = a[#a]",
                                                       "a, b = b, a",
                                                       "b = a",
                                                       "c = b",
                                                       "c = record.o",
                                                       "record.o = a",
                                                       "record.l = a",
                                                       "record.n = b",
                                                       "record.new = c",
                                                       "record.s = nil",
                                                       "record.o = nil",
                                                       "a.x = 1",
                                                       "a.x = b",
                                                       "a.x = nil",
                                                       "a.y = 'text'",
                                                       "a[1] = 5",
                                                       "a[#a + 1] = b",
                                                       "a[#a] = nil",
                                                       "a[#a + 1] = {k = {1, 2}}",
                                                       "table.insert(a, 1, 0)",
                                                       "table.remove(a, 1)",
                                                       "table.sort(a)",
                                                       "for k, v in pairs(a) do a[k] = nil end",
                                                       "for k, v in pairs(a) do a.k2 = v end",
                                                       "for i, v in ipairs(a) do b = v end",
                                                       "a = Record(a)",
                                                       "b = Record(record)",
                                                       "b = Record{o = c}",
                                                       "a = list{}",
                                                       "a = {}",
                                                       "a = null",
                                                       "a.self = a",
                                                       "b = tostring(a)",
                                                       "b = kept",
                                                       "kept = a",
                                                       "meta.device = 'd'",
                                                       "meta.time = 5",
                                                       "meta.kind = b",
                                                       "b = meta.topic",
                                                       "out[#out + 1] = record",
                                                       "out[#out + 1] = a",
                                                       "out[#out + 1] = b",
                                                       "b = ('x'):rep(70)",
                                                       "b = ('aXbX'):gsub('%u', 'y')",
                                                       "b = table.concat(a, ',')",
                                                       "coroutine.wrap(function() a.x = {1} end)()",
                                                       "error(a)",
                                                       "do return a end",
                                                       "do return out end"};

std::string script_of(std::string_view input) {
  constexpr std::string_view kRaw = "lua:";
  if (input.starts_with(kRaw)) return std::string(input.substr(kRaw.size()));
  std::string script = "function process(record, meta)\nlocal a, b, c, out = record, 1, {}, {}\n";
  for (char byte : input.substr(0, 200)) {
    const auto number = static_cast<unsigned char>(byte);
    const std::string statement(kStatements[number % kStatements.size()]);
    // Most fail on what they find; protected, they leave the others their chance.
    script +=
        number < 200 && !statement.starts_with("do return") ? "pcall(function() " + statement + " end)\n" : statement + "\n";
  }
  return script + "return record\nend\n";
}

void walk(const Record& record, std::string& text) {
  append_json(text, record.fields.view());
  append_json_record(text, record, true);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string source = script_of({reinterpret_cast<const char*>(data), size});
  auto script = lua::Script::compile(source, "fuzz.lua", {.memory = 4U << 20U, .instructions = 50000},
                                     {[] { return Time{}; }, [](LogLevel, std::string_view) {}});
  if (!script) return 0;
  (void)script->init();

  Batch original;
  if (!JsonDecoder().decode(kRecords, original)) broken("the records decode", source);
  Batch batch = original.copy();
  std::string text;
  std::size_t rejected = 0;
  script->process(batch, [&](const Record& record, const Error& error) {
    ++rejected;
    if (error.what.empty()) broken("an error says something", source);
    bool as_it_came = false;
    for (const Record& r : original.records) {
      as_it_came |= Value::object(r.fields.view()) == Value::object(record.fields.view());
    }
    if (!as_it_came || !record.device.empty() || record.time != Time{}) broken("a record is rejected as it came in", source);
  });
  if (rejected > original.size()) broken("a record is rejected once", source);
  for (const Record& record : batch.records) walk(record, text);

  // The original shares texts with the batch, and nothing in it may have changed.
  Batch untouched;
  if (!JsonDecoder().decode(kRecords, untouched)) broken("the records decode", source);
  for (std::size_t i = 0; i < original.size(); ++i) {
    if (!(Value::object(original.records[i].fields.view()) == Value::object(untouched.records[i].fields.view()))) {
      broken("values in a shared batch never change", source);
    }
  }
  if (auto ticked = script->has_tick() ? script->tick(Time{}) : Batch{}) {
    for (const Record& record : ticked->records) walk(record, text);
  }
  return 0;
}
