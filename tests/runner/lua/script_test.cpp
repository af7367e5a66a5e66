#include "runner/lua/script.h"

#include <catch2/catch.hpp>

#include "runner/stage/json.h"

using namespace millrace;

namespace {

lua::Outside outside() {
  return {[] { return from_millis(1700000000000); }, [](LogLevel, std::string_view) {}};
}

lua::Script script(std::string source) {
  auto compiled = lua::Script::compile(std::move(source), "rule.lua", {}, outside());
  if (!compiled) FAIL(compiled.error().what);
  return std::move(*compiled);
}

}  // namespace

TEST_CASE("slice: adds, renames, drops") {
  lua::Script s = script(R"(
    function process(record, meta)
      if record.humidity > 80 then return nil end
      record.sum = record.temperature + record.humidity
      record.temp = record.temperature
      record.temperature = nil
      return record
    end)");
  Batch batch;
  REQUIRE(JsonDecoder().decode(R"([{"temperature":20.5,"humidity":50},{"temperature":1,"humidity":90},{"humidity":null,"temperature":3}])", batch));
  std::string why;
  auto dropped = s.process(batch, [&](const Record&, const Error& e) { why = e.what; });
  CHECK(dropped == 1);
  REQUIRE(batch.size() == 1);
  std::string out;
  append_json(out, batch.records[0].fields.view());
  CHECK(out == R"({"humidity":50,"sum":70.5,"temp":20.5})");
  CHECK(why.find("rule.lua:3: cannot calculate with null (the field last read as null is 'humidity')") == 0);
}
