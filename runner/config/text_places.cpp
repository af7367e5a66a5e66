#include "runner/config/text_places.h"

namespace millrace::config {
namespace {

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

Position TextPlaces::of(int line, int byte) {
  if (line < line_) line_start_ = 0, line_ = byte_ = characters_ = 0;
  if (line == line_ && byte < byte_) byte_ = characters_ = 0;
  for (; line_ < line; ++line_, byte_ = characters_ = 0) {
    std::size_t end = text_.find('\n', line_start_);
    if (end == std::string_view::npos) return {line + 1, byte + 1};
    line_start_ = end + 1;
  }
  for (; byte_ < byte && line_start_ + static_cast<std::size_t>(byte_) < text_.size(); ++byte_)
    if (!continues_character(text_[line_start_ + static_cast<std::size_t>(byte_)])) ++characters_;
  return {line + 1, characters_ + 1 + (byte - byte_)};
}

}  // namespace millrace::config
