#pragma once

#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "runner/stage/arena.h"

namespace millrace::json {

inline constexpr std::size_t no_position = static_cast<std::size_t>(-1);

/// What was wrong, and at which offset of the text.
struct Fault {
  std::size_t at = no_position;
  std::string what;
};

/// A text and where its tokens start: every brace, bracket, colon and comma, every string's opening quote, every number or
/// word. simdjson's first stage finds them and checks UTF-8, 64 bytes a step. The decoder walks them straight into records,
/// where simdjson's own second stage would write a tape to be walked again.
///
/// Behind the last token stands the length, twice, and behind the text white space, so that a look one token too far does no
/// harm.
class Tokens {
 public:
  /// Copies the text into `arena`, where views into it last; a byte order mark becomes white space.
  void load(std::string_view text, Arena& arena);

  /// Finds the tokens. EMPTY if there are none; on any error but that, explain() says what is wrong and where.
  simdjson::error_code scan();
  Fault explain(simdjson::error_code error) const;

  /// Makes `next` the first token at or behind an offset.
  void skip_to(std::size_t offset);

  /// The string without its escapes, which opens before `raw` and ends behind it; false if one is not known. `into` is room
  /// that is used again.
  bool unescape(std::string_view raw, std::string& into) const;

  const char* text = nullptr;
  std::size_t length = 0;
  const std::uint32_t* next = nullptr;
  const std::uint32_t* end = nullptr;

 private:
  std::unique_ptr<simdjson::internal::dom_parser_implementation> scanner_;
  std::size_t capacity_ = 0;
};

/// A byte as messages show it.
std::string shown(char c);

}  // namespace millrace::json
