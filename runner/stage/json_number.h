#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>

#include "runner/stage/value.h"

namespace millrace::json {

/// Powers of ten that a double holds exactly.
inline constexpr std::array<double, 23> exact_powers = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                        1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/// Integers up to this magnitude are doubles without loss.
inline constexpr std::uint64_t exact_integers = std::uint64_t{1} << 53U;

/// A JSON number being read: the digits as one integer, and what is known of them.
struct Digits {
  std::uint64_t mantissa = 0;
  int count = 0;     ///< of digits before the exponent; beyond 19 the mantissa has overflowed
  int exponent = 0;  ///< value = mantissa * 10^exponent
  bool negative = false;
  bool integer = true;
};

/// Reads digits at `p` into `into`, returns where they end.
inline const char* scan_digits(const char* p, Digits& into) {
  const char* start = p;
  while (static_cast<unsigned char>(*p - '0') < 10) into.mantissa = into.mantissa * 10 + static_cast<unsigned char>(*p++ - '0');
  into.count += static_cast<int>(p - start);
  return p;
}

/// Reads a number by RFC 8259's grammar up to its end, or returns null. The text ends with something that is no digit.
inline const char* scan_number(const char* p, Digits& number) {
  if (*p == '-') {
    number.negative = true;
    ++p;
  }
  const char* whole = p;
  p = scan_digits(p, number);
  if (p == whole || (*whole == '0' && p - whole > 1)) return nullptr;
  if (*p == '.') {
    number.integer = false;
    const char* fraction = ++p;
    p = scan_digits(p, number);
    if (p == fraction) return nullptr;
    number.exponent = -static_cast<int>(p - fraction);
  }
  if (*p == 'e' || *p == 'E') {
    number.integer = false;
    ++p;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') ++p;
    const char* first = p;
    int exponent = 0;
    for (; static_cast<unsigned char>(*p - '0') < 10; ++p)
      if (exponent < 100'000'000) exponent = exponent * 10 + (*p - '0');
    if (p == first) return nullptr;
    number.exponent += negative ? -exponent : exponent;
  }
  return p;
}

/// The double nearest to the number that spans [first, last), or an infinity if there is none.
inline double nearest_double(const Digits& number, const char* first, const char* last) {
  // Clinger's fast path: both factors are exact, so that one operation rounds once.
  if (number.count <= 19 && number.mantissa <= exact_integers && number.exponent >= -22 && number.exponent <= 22) {
    double mantissa = static_cast<double>(number.mantissa);
    double value = number.exponent < 0 ? mantissa / exact_powers[static_cast<std::size_t>(-number.exponent)]
                                       : mantissa * exact_powers[static_cast<std::size_t>(number.exponent)];
    return number.negative ? -value : value;
  }
  double value = 0;
  if (std::from_chars(first, last, value).ec == std::errc{}) return value;

  // Out of range is too large or too small; the latter is nought.
  const char* significant = first;
  while (significant != last && (*significant == '-' || *significant == '0' || *significant == '.')) ++significant;
  int digits = 0;
  for (; significant != last && *significant != 'e' && *significant != 'E'; ++significant)
    digits += *significant != '.' ? 1 : 0;
  value = number.exponent + digits > 0 ? std::numeric_limits<double>::infinity() : 0.0;
  return number.negative ? -value : value;
}

}  // namespace millrace::json
