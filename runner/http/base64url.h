#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace millrace::http {

/// RFC 4648 section 5, without padding.
std::string base64url(std::string_view bytes);

/// Nothing unless `text` is exactly what base64url() writes: no padding, no spaces, no bits left over.
std::optional<std::string> from_base64url(std::string_view text);

/// So many bytes of the system's random source, in base64url. Without a random source the process ends: every secret could be
/// guessed.
std::string random_text(std::size_t bytes);

}  // namespace millrace::http
