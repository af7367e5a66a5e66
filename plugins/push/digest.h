#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace millrace::push {

/// The first 128 bits of SHA-256 over the parts, in hex. Each part counts with its length, so that moving text from one to the
/// next gives another digest.
std::string digest_of(std::initializer_list<std::string_view> parts);

/// HMAC-SHA-256 (RFC 2104) in hex.
std::string hmac_of(std::string_view secret, std::string_view text);

}  // namespace millrace::push
