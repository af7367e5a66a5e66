// Runs cases of the alert stage's semantics through the product: `alert_vectors [--keep FOLDER] FILE...` prints one line a
// case, then `N passed, M failed`; the exit status is 1 if a case failed and 2 if a file could not be used. `--keep` leaves
// each case's pipeline and input in FOLDER/<id>. The format is described in README.md beside this file.

#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "compare.h"
#include "tests/support/temp_folder.h"

namespace {

using namespace millrace::vectors;

struct Tally {
  int passed = 0, failed = 0;
};

void run(const Json& one, const std::filesystem::path& folder, Tally& tally) {
  std::string id = one.value("id", "?");
  std::string wrong;
  try {
    std::filesystem::create_directories(folder / id);
    wrong = difference(one.at("expected"), run_case(one.at("config"), one.at("inputs"), folder / id));
  } catch (const std::exception& e) {
    wrong = e.what();
  }
  fmt::print("{:4} {:5} {}\n", wrong.empty() ? "ok" : "FAIL", id, one.value("title", ""));
  if (!wrong.empty()) fmt::print("           {}\n", wrong);
  ++(wrong.empty() ? tally.passed : tally.failed);
}

bool run_file(const std::string& path, const std::filesystem::path& folder, Tally& tally) {
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
  for (const Json& one : file["cases"]) run(one, folder, tally);
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> files(argv + 1, argv + argc);
  millrace::test::TempFolder scratch;
  std::filesystem::path folder = scratch.path();
  if (files.size() > 2 && files[0] == "--keep") {
    folder = files[1];
    files.erase(files.begin(), files.begin() + 2);
  }
  if (files.empty() || files[0].starts_with("--")) {
    fmt::print(stderr, "usage: {} [--keep FOLDER] FILE...\n", argv[0]);
    return 2;
  }
  Tally tally;
  bool usable = true;
  for (const std::string& file : files) usable &= run_file(file, folder, tally);
  fmt::print("{} passed, {} failed\n", tally.passed, tally.failed);
  if (!usable) return 2;
  return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}
