#include "runner/stage/printable.h"

#include <fmt/format.h>

#include <iterator>

namespace millrace {
namespace {

/// The length of the well-formed character that begins `text`; 0 if there is none.
std::size_t character(std::string_view text) {
  auto byte = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
  auto within = [&](std::size_t at, unsigned low, unsigned high) { return byte(at) >= low && byte(at) <= high; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return within(1, 0x80, 0xBF) ? 2 : 0;
  // Neither overlong nor a surrogate.
  if (first >= 0xE0 && first <= 0xEF) {
    bool second = within(1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF);
    return second && within(2, 0x80, 0xBF) ? 3 : 0;
  }
  // Nor beyond U+10FFFF.
  if (first >= 0xF0 && first <= 0xF4) {
    bool second = within(1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF);
    return second && within(2, 0x80, 0xBF) && within(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

/// U+0080 to U+009F are control characters, too.
bool is_control(std::string_view c) {
  const auto first = static_cast<unsigned char>(c[0]);
  if (c.size() == 1) return first < 0x20 || first == 0x7F;
  return c.size() == 2 && first == 0xC2 && static_cast<unsigned char>(c[1]) < 0xA0;
}

}  // namespace

std::size_t utf8_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t size = character(text.substr(at));
    if (size == 0) break;
    at += size;
  }
  return at;
}

namespace {

std::string shown(std::string_view text, std::string_view kept) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character(text);
    std::string_view c = text.substr(0, size == 0 ? 1 : size);
    if (size == 0 || (is_control(c) && kept.find(c) == std::string_view::npos)) {
      for (char byte : c) fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      out += c;
    }
    text.remove_prefix(c.size());
  }
  return out;
}

}  // namespace

std::string printable(std::string_view text) { return shown(text, ""); }

std::string printable_lines(std::string_view text) { return shown(text, "\n\t"); }

}  // namespace millrace
