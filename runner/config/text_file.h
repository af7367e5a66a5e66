#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "runner/stage/error.h"

namespace millrace::config {

/// What a file that a person names may have at most: a pipeline, a script, a certificate, a secret.
inline constexpr std::uint64_t largest_text_file = 16U << 20U;

/// Whether there is an ordinary file to read, no larger than `limit`. The error is the reason alone, such as "it is a folder":
/// a pipe or a terminal would be waited for without end, a device need never end.
Result<void> readable_file(const std::filesystem::path& path, std::uint64_t limit = largest_text_file);

/// The whole of such a file. Never waits for anybody.
Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit = largest_text_file);

}  // namespace millrace::config
