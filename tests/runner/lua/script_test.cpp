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
  CHECK(run.process(R"([{"temperature":20.5,"humidity":50},{"temperature":1,"humidity":90}])") == R"({"humidity":50,"sum":70.5,"temp":20.5})");
  CHECK(run.dropped == 1);
  CHECK(run.errors.empty());
}
