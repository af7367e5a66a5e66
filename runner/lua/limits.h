#pragma once

#include <cstddef>
#include <cstdint>

namespace millrace::lua {

/// What a script may use. Going over either is final: no pcall in the script catches it, and its state is built anew.
struct Limits {
  std::size_t memory = 64U << 20U;       ///< bytes of the whole Lua state; a single text may have a 64th of it, at least 64 KiB
  std::uint64_t instructions = 1000000;  ///< of one call from outside; library functions and allocations count by their work
};

}  // namespace millrace::lua
