#include "plugins/mqtt_source/oversize.h"

#include <algorithm>
#include <cassert>
#include <charconv>

namespace millrace::mqtt_source {

std::string Oversize::pack(std::string_view payload) {
  auto continues = [&](std::size_t at) { return (static_cast<unsigned char>(payload[at]) & 0xC0U) == 0x80U; };
  std::size_t end = std::min(kept, payload.size());
  while (end < payload.size() && end > 0 && continues(end)) --end;
  return std::to_string(payload.size()) + "\n" + std::string(payload.substr(0, end));
}

Oversize Oversize::unpack(std::string_view packed) {
  Oversize message;
  auto [end, error] = std::from_chars(packed.data(), packed.data() + packed.size(), message.bytes);
  assert(error == std::errc{});  // only pack() makes them
  auto digits = static_cast<std::size_t>(end - packed.data());
  message.beginning = packed.substr(std::min(digits + 1, packed.size()));
  return message;
}

}  // namespace millrace::mqtt_source
