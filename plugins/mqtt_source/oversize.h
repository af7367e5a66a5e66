#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::mqtt_source {

/// What is kept of a message that is larger than allowed: how large it was, and how it begins.
struct Oversize {
  std::uint64_t bytes = 0;
  std::string_view beginning;

  /// The most that is kept of the payload; less where a character would be cut in two.
  static constexpr std::size_t kept = 256;

  /// As it stands in the inbox or the queue in place of the payload: the size, a line's end, the beginning.
  static std::string pack(std::string_view payload);
  static Oversize unpack(std::string_view packed);
};

}  // namespace millrace::mqtt_source
