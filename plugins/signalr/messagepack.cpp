#include "plugins/signalr/messagepack.h"

#include <fmt/core.h>

#include <array>
#include <bit>
#include <chrono>

#include "runner/http/utf8.h"

namespace millrace::signalr::messagepack {
namespace {

using nlohmann::json;

void put(std::string& out, unsigned byte) { out += static_cast<char>(byte); }

template <class Number>
void put_big_endian(std::string& out, unsigned first, Number number) {
  put(out, first);
  for (int shift = 8 * (static_cast<int>(sizeof number) - 1); shift >= 0; shift -= 8)
    put(out, static_cast<unsigned>(number >> shift & 0xFFU));
}

/// A header whose length takes one, two or four bytes after `bytes[0]`, `[1]`, `[2]`; 0: there is no such form.
void put_length(std::string& out, std::array<unsigned, 3> first, std::size_t length) {
  if (first[0] != 0 && length <= 0xFF) return put_big_endian(out, first[0], static_cast<std::uint8_t>(length));
  if (length <= 0xFFFF) return put_big_endian(out, first[1], static_cast<std::uint16_t>(length));
  put_big_endian(out, first[2], static_cast<std::uint32_t>(length));
}

void append_extension(std::string& out, std::uint8_t type, std::string_view data) {
  switch (data.size()) {
    case 1: put(out, 0xD4); break;
    case 2: put(out, 0xD5); break;
    case 4: put(out, 0xD6); break;
    case 8: put(out, 0xD7); break;
    case 16: put(out, 0xD8); break;
    default: put_length(out, {0xC7, 0xC8, 0xC9}, data.size());
  }
  put(out, type);
  out += data;
}

std::string_view text_of(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

void append_nil(std::string& out) { put(out, 0xC0); }

void append_boolean(std::string& out, bool value) { put(out, value ? 0xC3 : 0xC2); }

void append_unsigned(std::string& out, std::uint64_t value) {
  if (value < 0x80) return put(out, static_cast<unsigned>(value));
  if (value <= 0xFF) return put_big_endian(out, 0xCC, static_cast<std::uint8_t>(value));
  if (value <= 0xFFFF) return put_big_endian(out, 0xCD, static_cast<std::uint16_t>(value));
  if (value <= 0xFFFF'FFFF) return put_big_endian(out, 0xCE, static_cast<std::uint32_t>(value));
  put_big_endian(out, 0xCF, value);
}

void append_integer(std::string& out, std::int64_t value) {
  if (value >= 0) return append_unsigned(out, static_cast<std::uint64_t>(value));
  if (value >= -32) return put(out, static_cast<std::uint8_t>(value));
  if (value >= INT8_MIN) return put_big_endian(out, 0xD0, static_cast<std::uint8_t>(value));
  if (value >= INT16_MIN) return put_big_endian(out, 0xD1, static_cast<std::uint16_t>(value));
  if (value >= INT32_MIN) return put_big_endian(out, 0xD2, static_cast<std::uint32_t>(value));
  put_big_endian(out, 0xD3, static_cast<std::uint64_t>(value));
}

void append_double(std::string& out, double value) { put_big_endian(out, 0xCB, std::bit_cast<std::uint64_t>(value)); }

void append_string(std::string& out, std::string_view text) {
  if (text.size() < 32) {
    put(out, 0xA0U | static_cast<unsigned>(text.size()));
  } else {
    put_length(out, {0xD9, 0xDA, 0xDB}, text.size());
  }
  out += text;
}

void append_bytes(std::string& out, std::string_view raw) {
  put_length(out, {0xC4, 0xC5, 0xC6}, raw.size());
  out += raw;
}

void append_list_header(std::string& out, std::size_t items) {
  if (items < 16) return put(out, 0x90U | static_cast<unsigned>(items));
  put_length(out, {0, 0xDC, 0xDD}, items);
}

void append_map_header(std::string& out, std::size_t fields) {
  if (fields < 16) return put(out, 0x80U | static_cast<unsigned>(fields));
  put_length(out, {0, 0xDE, 0xDF}, fields);
}

void append(std::string& out, const Value& value) {
  switch (value.type()) {
    case Type::null: return append_nil(out);
    case Type::boolean: return append_boolean(out, value.as_boolean());
    case Type::integer: return append_integer(out, value.as_integer());
    case Type::real: return append_double(out, value.as_real());
    case Type::string: return append_string(out, value.as_text());
    case Type::bytes: return append_bytes(out, value.as_text());
    case Type::object: return append(out, value.as_object());
    case Type::list: break;
  }
  append_list_header(out, value.as_list().size());
  for (const Value& item : value.as_list()) append(out, item);
}

void append(std::string& out, std::span<const Field> fields) {
  append_map_header(out, fields.size());
  for (const Field& field : fields) {
    append_string(out, field.name);
    append(out, field.value);
  }
}

void append_record(std::string& out, const Record& record) {
  append_map_header(out, 3);
  append_string(out, "device");
  append_string(out, record.device);
  append_string(out, "time");
  std::int64_t micros = record.time.time_since_epoch().count();
  if (micros % 1000 == 0) {
    append_integer(out, micros / 1000);
  } else {
    append_double(out, to_millis(record.time));
  }
  append_string(out, "fields");
  append(out, record.fields.view());
}

void append(std::string& out, const json& value) {
  switch (value.type()) {
    case json::value_t::null:
    case json::value_t::discarded: return append_nil(out);
    case json::value_t::boolean: return append_boolean(out, value.get<bool>());
    case json::value_t::number_integer: return append_integer(out, value.get<std::int64_t>());
    case json::value_t::number_unsigned: return append_unsigned(out, value.get<std::uint64_t>());
    case json::value_t::number_float: return append_double(out, value.get<double>());
    case json::value_t::string: return append_string(out, value.get_ref<const std::string&>());
    case json::value_t::binary: {
      const auto& binary = value.get_binary();
      if (!binary.has_subtype()) return append_bytes(out, text_of(binary));
      return append_extension(out, static_cast<std::uint8_t>(binary.subtype()), text_of(binary));
    }
    case json::value_t::array:
      append_list_header(out, value.size());
      for (const json& item : value) append(out, item);
      return;
    case json::value_t::object:
      append_map_header(out, value.size());
      for (const auto& [name, item] : value.items()) {
        append_string(out, name);
        append(out, item);
      }
  }
}

namespace {

/// Reads values off the front of a text. The first thing that is wrong stays in `wrong`, and all reading stops there.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  json value(std::size_t depth);

  const char* wrong() const { return wrong_; }
  bool at_end() const { return rest_.empty(); }

 private:
  json fail(const char* why) {
    if (!wrong_) wrong_ = why;
    rest_ = {};
    return nullptr;
  }

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      fail("A MessagePack value is cut off.");
      return {};
    }
    auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  template <class Number>
  Number number() {
    Number result = 0;
    for (char c : take(sizeof(Number)))
      result = static_cast<Number>(static_cast<std::uint64_t>(result) << 8U | static_cast<std::uint8_t>(c));
    return result;
  }

  json scalar(std::uint8_t first);
  json text(std::size_t size);
  json list(std::size_t size, std::size_t depth);
  json map(std::size_t size, std::size_t depth);
  json bytes(std::size_t size);
  json extension(std::size_t size);
  std::string name(std::size_t depth);

  std::string_view rest_;
  const char* wrong_ = nullptr;
};

json Reader::value(std::size_t depth) {
  auto first = number<std::uint8_t>();
  if (wrong_) return nullptr;
  if (first < 0x80) return first;
  if (first >= 0xE0) return static_cast<std::int8_t>(first);
  if (first >= 0xA0 && first < 0xC0) return text(first & 0x1FU);
  bool nests = first < 0xA0 || first >= 0xDC;
  if (!nests) return scalar(first);
  if (depth == 0) return fail("A MessagePack value nests too deep.");
  if (first < 0x90) return map(first & 0x0FU, depth - 1);
  if (first < 0xA0) return list(first & 0x0FU, depth - 1);
  switch (first) {
    case 0xDC: return list(number<std::uint16_t>(), depth - 1);
    case 0xDD: return list(number<std::uint32_t>(), depth - 1);
    case 0xDE: return map(number<std::uint16_t>(), depth - 1);
    default: return map(number<std::uint32_t>(), depth - 1);
  }
}

json Reader::scalar(std::uint8_t first) {
  switch (first) {
    case 0xC0: return nullptr;
    case 0xC2: return false;
    case 0xC3: return true;
    case 0xC4: return bytes(number<std::uint8_t>());
    case 0xC5: return bytes(number<std::uint16_t>());
    case 0xC6: return bytes(number<std::uint32_t>());
    case 0xC7: return extension(number<std::uint8_t>());
    case 0xC8: return extension(number<std::uint16_t>());
    case 0xC9: return extension(number<std::uint32_t>());
    case 0xCA: return static_cast<double>(std::bit_cast<float>(number<std::uint32_t>()));
    case 0xCB: return std::bit_cast<double>(number<std::uint64_t>());
    case 0xCC: return number<std::uint8_t>();
    case 0xCD: return number<std::uint16_t>();
    case 0xCE: return number<std::uint32_t>();
    case 0xCF: return number<std::uint64_t>();
    case 0xD0: return number<std::int8_t>();
    case 0xD1: return number<std::int16_t>();
    case 0xD2: return number<std::int32_t>();
    case 0xD3: return number<std::int64_t>();
    case 0xD4:
    case 0xD5:
    case 0xD6:
    case 0xD7:
    case 0xD8: return extension(std::size_t{1} << (first - 0xD4U));
    case 0xD9: return text(number<std::uint8_t>());
    case 0xDA: return text(number<std::uint16_t>());
    case 0xDB: return text(number<std::uint32_t>());
    default: return fail("A MessagePack value has a type that does not exist.");
  }
}

json Reader::text(std::size_t size) {
  auto taken = take(size);
  http::Utf8 utf8;
  if (!utf8.feed(taken) || !utf8.complete()) return fail("A MessagePack text is not UTF-8.");
  return taken;
}

json Reader::bytes(std::size_t size) {
  auto taken = take(size);
  return json::binary(json::binary_t::container_type(taken.begin(), taken.end()));
}

json Reader::extension(std::size_t size) {
  auto type = number<std::uint8_t>();
  auto taken = take(size);
  return json::binary(json::binary_t::container_type(taken.begin(), taken.end()), type);
}

json Reader::list(std::size_t size, std::size_t depth) {
  // Each item takes a byte at least: a header cannot claim more memory than its message has bytes for.
  if (size > rest_.size()) return fail("A MessagePack list is cut off.");
  json items = json::array();
  for (std::size_t i = 0; i < size && !wrong_; ++i) items.push_back(value(depth));
  return items;
}

json Reader::map(std::size_t size, std::size_t depth) {
  if (size > rest_.size() / 2) return fail("A MessagePack map is cut off.");
  json object = json::object();
  for (std::size_t i = 0; i < size && !wrong_; ++i) {
    std::string key = name(depth);
    object[std::move(key)] = value(depth);
  }
  return object;
}

std::string Reader::name(std::size_t depth) {
  json key = value(depth);
  if (key.is_string()) return std::move(key.get_ref<std::string&>());
  if (key.is_number_integer()) return key.dump();
  fail("The name of a MessagePack map's field is no text.");
  return {};
}

}  // namespace

Result<json> read(std::string_view bytes, std::size_t depth) {
  Reader reader(bytes);
  json value = reader.value(depth);
  if (reader.wrong()) return rejected(reader.wrong());
  if (!reader.at_end()) return rejected("There are bytes behind a MessagePack value.");
  return Result<json>(boost::system::in_place_value, std::move(value));
}

void append_length(std::string& out, std::size_t length) {
  do {
    unsigned more = length > 0x7F ? 0x80U : 0U;
    put(out, static_cast<unsigned>(length & 0x7FU) | more);
    length >>= 7U;
  } while (length > 0);
}

Length read_length(std::string_view bytes) {
  Length length;
  for (std::size_t i = 0; i < bytes.size() && i < 5; ++i) {
    auto byte = static_cast<std::uint8_t>(bytes[i]);
    if (i == 4 && byte > 7) return {.malformed = true};
    length.value |= static_cast<std::size_t>(byte & 0x7FU) << (7 * i);
    if (byte < 0x80) {
      length.prefix = i + 1;
      return length;
    }
  }
  return {};
}

std::optional<std::string> timestamp_text(std::span<const std::uint8_t> data) {
  auto number = [&](std::size_t from, std::size_t size) {
    std::uint64_t result = 0;
    for (std::uint8_t byte : data.subspan(from, size)) result = result << 8U | byte;
    return result;
  };
  std::int64_t seconds = 0;
  std::uint64_t nanos = 0;
  if (data.size() == 4) {
    seconds = static_cast<std::int64_t>(number(0, 4));
  } else if (data.size() == 8) {
    nanos = number(0, 8) >> 34U;
    seconds = static_cast<std::int64_t>(number(0, 8) & 0x3'FFFF'FFFFU);
  } else if (data.size() == 12) {
    nanos = number(0, 4);
    seconds = static_cast<std::int64_t>(number(4, 8));
  } else {
    return std::nullopt;
  }
  constexpr std::int64_t last_second = 253'402'300'799;  // of the year 9999
  if (nanos > 999'999'999 || seconds > last_second || seconds < -last_second) return std::nullopt;
  using namespace std::chrono;
  sys_seconds time{std::chrono::seconds(seconds)};
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss clock(time - day);
  if (static_cast<int>(date.year()) < 0) return std::nullopt;
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (nanos != 0) {
    text += fmt::format(".{:09}", nanos);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text + 'Z';
}

}  // namespace millrace::signalr::messagepack
