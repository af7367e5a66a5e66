#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace SQLite {
class Database;
}

/// What tells a recording from any other file; for Recording and RecordingReader.
namespace millrace::store::recording_file {

inline constexpr int application_id = 0x4d495245;  // "MIRE", at offset 68 of the file
inline constexpr int version = 1;

std::filesystem::path path(const std::filesystem::path& folder, std::string_view pipeline);

/// Why an open file is no recording of this version. Throws SQLite::Exception.
std::optional<std::string> problem(SQLite::Database& database);

}  // namespace millrace::store::recording_file
