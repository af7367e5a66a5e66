#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace millrace::cli {

/// How one test ended.
struct TestOutcome {
  std::string file, name;
  std::string failure;  ///< for people; empty if it passed
  std::chrono::duration<double> took{};
};

/// The outcomes as a JUnit report, as continuous integration reads it: a suite for each file.
std::string junit(const std::vector<TestOutcome>& outcomes);

}  // namespace millrace::cli
