// Runs the tests of one shipped script: run_lua_tests EXPECT SCRIPT TEST_FILE, where EXPECT is expect.lua. All run in one
// sandbox, as the script runs in a pipeline. Exit status 0 only if there were tests and all passed.

#include <fmt/core.h>

#include <fstream>
#include <iterator>
#include <string>

#include "runner/lua/script.h"

namespace {

using namespace millrace;

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    fmt::print(stderr, "{}: cannot be read\n", path);
    std::exit(2);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: run_lua_tests EXPECT SCRIPT TEST_FILE\n");
    return 2;
  }
  int passed = 0;
  int failed = 0;
  // A second for each line, so that none falls to the log's limit.
  Time now = from_millis(1700000000000);
  auto script = lua::Script::compile(read(argv[2]), argv[2], {.instructions = 100000000},
                                     {[&] { return now += 1s; },
                                      [&](LogLevel, std::string_view line) {
                                        (line.starts_with("ok ") ? passed : failed) += 1;
                                        fmt::print("{}\n", line);
                                      }});
  auto run = [&](const char* path) {
    if (!script) return Result<void>(script.error());
    return script->run(read(path), path);
  };
  Result<void> outcome = script ? script->run("report = log", "report") : script.error();
  if (outcome) outcome = run(argv[1]);
  if (outcome) outcome = script->init();
  if (outcome) outcome = run(argv[3]);
  if (!outcome) {
    fmt::print(stderr, "{}\n", outcome.error().what);
    return 1;
  }
  fmt::print("{} passed, {} failed\n", passed, failed);
  if (passed + failed == 0) fmt::print(stderr, "{}: no test ran\n", argv[3]);
  return passed > 0 && failed == 0 ? 0 : 1;
}
