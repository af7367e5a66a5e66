#pragma once

#include <compare>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::config {

/// A size in bytes; written with its unit (`64KiB`, `1GiB`, `10MB`, `512B`).
struct Bytes {
  std::uint64_t count = 0;
  auto operator<=>(const Bytes&) const = default;
};

/// A path, resolved against the file that names it. It need not exist.
struct Path {
  std::filesystem::path path;
};

/// A file that must be readable: its text is read when the configuration is, and it is watched for changes.
struct InputFile {
  std::filesystem::path path;
  std::string text;
};

/// A text that is never shown: not in a log, an error, `graph` or a dump.
struct Secret {
  std::string text;
  bool empty() const { return text.empty(); }
};

/// Named values in the file's order.
template <class T>
using Map = std::vector<std::pair<std::string, T>>;

/// `1h30m`, `250ms`, `0s`: numbers with units us, ms, s, m, h, d. A bare number is refused.
Result<Duration> parse_duration(std::string_view text);
std::string show_duration(Duration duration);

/// B, KB, MB, GB (powers of 1000), KiB, MiB, GiB (powers of 1024). A bare number is refused.
Result<Bytes> parse_bytes(std::string_view text);
std::string show_bytes(Bytes bytes);

}  // namespace millrace::config
