#pragma once

#include <string>
#include <string_view>

namespace millrace {

/// A text on one line as it may be shown on a terminal, whoever wrote it: control characters, which could move the cursor or
/// forge what stands above, and bytes that are not UTF-8 become `\xNN`.
std::string printable(std::string_view text);

/// The same of a text of several lines: line ends and tabs stay.
std::string printable_lines(std::string_view text);

/// How many bytes of `text` are whole characters in UTF-8 (RFC 3629, section 4), from its beginning; all of them if it is well.
std::size_t utf8_prefix(std::string_view text);

}  // namespace millrace
