#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

/// The MessagePack format (github.com/msgpack/msgpack spec.md): what hub messages and records are written in, and a reader that
/// nothing a client sends can exhaust. Pure functions. Integers take the shortest form, numbers with a fraction eight bytes.
namespace millrace::signalr::messagepack {

void append_nil(std::string& out);
void append_boolean(std::string& out, bool value);
void append_integer(std::string& out, std::int64_t value);
void append_unsigned(std::string& out, std::uint64_t value);
void append_double(std::string& out, double value);
void append_string(std::string& out, std::string_view text);
void append_bytes(std::string& out, std::string_view raw);
void append_list_header(std::string& out, std::size_t items);
void append_map_header(std::string& out, std::size_t fields);

void append(std::string& out, const Value& value);
void append(std::string& out, std::span<const Field> fields);  ///< as one map

/// The map with "device", "time" in milliseconds since the epoch, and "fields": what append_json_record writes.
void append_record(std::string& out, const Record& record);

/// A JSON value. Binary values become bin; those with a subtype become an extension of that type, such as timestamps (0xFF).
void append(std::string& out, const nlohmann::json& value);

/// Extension type -1: a point in time.
inline constexpr std::uint8_t timestamp = 0xFF;

/// Reads the value that `bytes` holds from the first to the last byte, nested no deeper than `depth`; bytes, extensions and
/// timestamps as binary values. Names of maps are texts; integers are taken as their decimal text. Refused: anything truncated,
/// trailing bytes, texts that are not UTF-8.
Result<nlohmann::json> read(std::string_view bytes, std::size_t depth = 64);

/// A message length as HubProtocol.md writes it in front: 7 bits a byte, the least significant first, up to 2^31 - 1.
void append_length(std::string& out, std::size_t length);

struct Length {
  std::size_t prefix = 0;  ///< bytes of the length itself; 0: more must come
  std::size_t value = 0;
  bool malformed = false;  ///< no length begins like this
};
Length read_length(std::string_view bytes);

/// The time of a timestamp extension, 4, 8 or 12 bytes of big-endian integers, as ISO 8601 text in UTC; nothing if it is none.
std::optional<std::string> timestamp_text(std::span<const std::uint8_t> data);

}  // namespace millrace::signalr::messagepack
