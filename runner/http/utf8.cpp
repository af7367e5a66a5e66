#include "runner/http/utf8.h"

#include <cstring>

namespace millrace::http {

bool Utf8::feed(std::string_view bytes) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    if (missing_ == 0 && bytes.size() - i >= sizeof(std::uint64_t)) {
      std::uint64_t eight;
      std::memcpy(&eight, bytes.data() + i, sizeof eight);
      if ((eight & 0x8080808080808080ULL) == 0) {
        i += sizeof eight;
        continue;
      }
    }
    auto byte = static_cast<std::uint8_t>(bytes[i++]);
    if (missing_ > 0) {
      if (byte < low_ || byte > high_) return false;
      --missing_;
      low_ = 0x80;
      high_ = 0xBF;
      continue;
    }
    if (byte < 0x80) continue;
    if (byte < 0xC2 || byte > 0xF4) return false;
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    if (byte == 0xE0) low_ = 0xA0;   // overlong
    if (byte == 0xED) high_ = 0x9F;  // surrogates
    if (byte == 0xF0) low_ = 0x90;   // overlong
    if (byte == 0xF4) high_ = 0x8F;  // beyond U+10FFFF
  }
  return true;
}

}  // namespace millrace::http
