// Runs cases of the alert stage's semantics: `alert_vectors FILE...` prints one line a case, then `N passed, M failed`; the
// exit status is 1 if a case failed and 2 if a file could not be used. The format is described in README.md beside this file.

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "compare.h"

namespace {

using namespace millrace::vectors;

struct Tally {
  int passed = 0, failed = 0;
};

void run(const Json& one, Tally& tally) {
  std::string id = one.value("id", "?");
  std::string wrong;
  try {
    wrong = difference(one.at("expected"), run_case(one.at("config"), one.at("inputs")));
  } catch (const std::exception& e) {
    wrong = e.what();
  }
  fmt::print("{:4} {:5} {}\n", wrong.empty() ? "ok" : "FAIL", id, one.value("title", ""));
  if (!wrong.empty()) fmt::print("           {}\n", wrong);
  ++(wrong.empty() ? tally.passed : tally.failed);
}

bool run_file(const char* path, Tally& tally) {
  std::ifstream in(path);
  if (!in) {
    fmt::print(stderr, "{}: cannot be read\n", path);
    return false;
  }
  Json file = Json::parse(in, nullptr, false);
  if (file.is_discarded() || !file.is_object() || file.value("format", "") != "millrace-window-alert-vectors/1") {
    fmt::print(stderr, "{}: not of format millrace-window-alert-vectors/1\n", path);
    return false;
  }
  for (const Json& one : file["cases"]) run(one, tally);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: {} FILE...\n", argv[0]);
    return 2;
  }
  Tally tally;
  bool usable = true;
  for (int i = 1; i < argc; ++i) usable &= run_file(argv[i], tally);
  fmt::print("{} passed, {} failed\n", tally.passed, tally.failed);
  if (!usable) return 2;
  return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}
