#pragma once

#include <cstdlib>
#include <iostream>
#include <string_view>

namespace millrace::fuzz {

/// Ends the process, as a fuzzer wants it of a target whose promise does not hold for this input.
[[noreturn]] inline void broken(std::string_view promise, std::string_view input = {}) {
  std::cerr << "broken: " << promise << "\ninput: " << input << "\n";
  std::abort();
}

}  // namespace millrace::fuzz
