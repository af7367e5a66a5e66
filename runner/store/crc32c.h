#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::store {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor's instruction where it has one. `seed` is the result for what
/// came before.
std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed = 0);

/// The same by tables alone: what a processor without the instruction runs.
std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t seed = 0);

}  // namespace millrace::store
