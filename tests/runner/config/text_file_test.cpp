#include "runner/config/text_file.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "tests/support/temp_folder.h"

using namespace millrace;
using config::read_text_file;

TEST_CASE("a file is read whole, up to its limit") {
  test::TempFolder folder;
  folder.write("a.txt", std::string(1000, 'x'));
  CHECK(read_text_file(folder.path() / "a.txt", 1000).value() == std::string(1000, 'x'));
  CHECK_THAT(read_text_file(folder.path() / "a.txt", 999).error().what, Catch::Equals("it is larger than 999B"));
  CHECK(read_text_file("/proc/self/status").has_value());
  CHECK_THAT(read_text_file("/proc/self/status", 10).error().what, Catch::Contains("larger"));
}

TEST_CASE("what is no file is named, and never waited for") {
  test::TempFolder folder;
  auto pipe = folder.path() / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(read_text_file(pipe).error().what, Catch::Equals("it is a pipe, not a file"));
  CHECK_THAT(read_text_file(folder.path()).error().what, Catch::Equals("it is a folder"));
  CHECK_THAT(read_text_file("/dev/zero").error().what, Catch::Equals("it is a device, not a file"));
  CHECK_THAT(read_text_file(folder.path() / "none").error().what, Catch::Equals("No such file or directory"));
}
