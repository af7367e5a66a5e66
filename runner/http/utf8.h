#pragma once

#include <cstdint>
#include <string_view>

namespace millrace::http {

/// Validates UTF-8 (RFC 3629) that comes in pieces; says no at the first byte that cannot be right.
class Utf8 {
 public:
  /// False once the text so far cannot be the beginning of valid UTF-8.
  bool feed(std::string_view bytes);

  /// Whether the text so far ends between characters.
  bool complete() const { return missing_ == 0; }

 private:
  std::uint8_t missing_ = 0;  ///< continuation bytes to come
  std::uint8_t low_ = 0x80;   ///< bounds of the next one
  std::uint8_t high_ = 0xBF;
};

}  // namespace millrace::http
