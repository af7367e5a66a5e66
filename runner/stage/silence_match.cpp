#include "runner/stage/silence_match.h"

namespace millrace {
namespace {

std::size_t character_length(std::string_view text) {
  std::size_t length = 1;
  while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xC0U) == 0x80U) ++length;
  return length;
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view text) {
  // Where the last `*` stood, and the text that it was last tried with: only that one needs another try.
  std::string_view after_star;
  std::string_view tried;
  bool star = false;
  while (!text.empty() || !pattern.empty()) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      star = true;
      after_star = pattern;
      tried = text;
      continue;
    }
    if (!pattern.empty() && !text.empty()) {
      if (pattern.front() == '?') {
        pattern.remove_prefix(1);
        text.remove_prefix(character_length(text));
        continue;
      }
      const std::size_t escape = pattern.front() == '\\' && pattern.size() > 1 ? 1 : 0;
      if (pattern[escape] == text.front()) {
        pattern.remove_prefix(escape + 1);
        text.remove_prefix(1);
        continue;
      }
    }
    if (!star || text.empty()) return false;
    tried.remove_prefix(character_length(tried));
    text = tried;
    pattern = after_star;
  }
  return true;
}

}  // namespace millrace
