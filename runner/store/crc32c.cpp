#include "runner/store/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace millrace::store {
namespace {

constexpr std::uint32_t polynomial = 0x82f63b78;  // reflected

// Eight tables, so that eight bytes go through in one step: table n is table 0 followed by n zero bytes.
constexpr auto tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> all{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? polynomial : 0U);
    all[0][byte] = crc;
  }
  for (std::size_t n = 1; n < 8; ++n)
    for (std::size_t byte = 0; byte < 256; ++byte) all[n][byte] = (all[n - 1][byte] >> 8U) ^ all[0][all[n - 1][byte] & 0xffU];
  return all;
}();

std::uint64_t eight_bytes(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, sizeof word);
  return word;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::string_view bytes, std::uint32_t crc) {
  std::uint64_t wide = crc;
  while (bytes.size() >= 8) {
    wide = _mm_crc32_u64(wide, eight_bytes(bytes.data()));
    bytes.remove_prefix(8);
  }
  crc = static_cast<std::uint32_t>(wide);
  for (char byte : bytes) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(byte));
  return crc;
}
#endif

}  // namespace

std::uint32_t crc32c_portable(std::string_view bytes, std::uint32_t seed) {
  static_assert(std::endian::native == std::endian::little, "the tables are used little-endian, and so is the log");
  std::uint32_t crc = ~seed;
  while (bytes.size() >= 8) {
    std::uint64_t word = eight_bytes(bytes.data()) ^ crc;
    crc = 0;
    for (std::size_t n = 0; n < 8; ++n) crc ^= tables[7 - n][(word >> (8 * n)) & 0xffU];
    bytes.remove_prefix(8);
  }
  for (char byte : bytes) crc = (crc >> 8U) ^ tables[0][(crc ^ static_cast<unsigned char>(byte)) & 0xffU];
  return ~crc;
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t seed) {
#if defined(__x86_64__)
  static const bool available = __builtin_cpu_supports("sse4.2");
  if (available) return ~by_instruction(bytes, ~seed);
#endif
  return crc32c_portable(bytes, seed);
}

}  // namespace millrace::store
