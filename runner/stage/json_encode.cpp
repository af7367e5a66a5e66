#include <simdjson.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#include "runner/stage/json.h"
#include "runner/stage/json_number.h"

namespace millrace {
namespace {

/// Gathers small pieces on the stack, so that the string grows by few and large steps.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() { flush(); }

  static constexpr std::size_t small = 512;

  /// Where up to `small` bytes may be written; advance() then says how far.
  char* room(std::size_t size) {
    if (static_cast<std::size_t>(buffer_.data() + buffer_.size() - end_) < size) flush();
    return end_;
  }
  void advance(char* end) { end_ = end; }

  void put(char c) {
    char* to = room(1);
    *to = c;
    advance(to + 1);
  }

  void put(std::string_view text) {
    if (text.size() > small) {
      flush();
      out_.append(text);
      return;
    }
    char* to = room(text.size());
    advance(std::copy(text.begin(), text.end(), to));
  }

 private:
  void flush() {
    out_.append(buffer_.data(), static_cast<std::size_t>(end_ - buffer_.data()));
    end_ = buffer_.data();
  }

  std::string& out_;
  std::array<char, 2 * small> buffer_;
  char* end_ = buffer_.data();
};

constexpr std::uint64_t every_byte = 0x0101010101010101U;
constexpr std::uint64_t high_bits = 0x8080808080808080U;

std::uint64_t load(const char* p) {
  std::uint64_t word = 0;
  std::memcpy(&word, p, sizeof word);
  return word;
}

/// Non-zero if one of eight bytes must be escaped, or is not ASCII.
std::uint64_t special(std::uint64_t word) {
  std::uint64_t quote = word ^ (every_byte * '"');
  std::uint64_t backslash = word ^ (every_byte * '\\');
  std::uint64_t control = word - every_byte * 0x20;
  return ((quote - every_byte) | (backslash - every_byte) | control | word) & high_bits;
}

bool special(char c) { return c == '"' || c == '\\' || static_cast<unsigned char>(c - 0x20) >= 0x60; }

bool is_plain(std::string_view text) {
  const char* p = text.data();
  std::size_t left = text.size();
  if (left < 8) {
    for (char c : text)
      if (special(c)) return false;
    return true;
  }
  for (; left > 8; left -= 8, p += 8)
    if (special(load(p))) return false;
  return !special(load(text.data() + text.size() - 8));
}

void put_escape(Writer& out, char c) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (c) {
    case '"': return out.put("\\\"");
    case '\\': return out.put("\\\\");
    case '\b': return out.put("\\b");
    case '\f': return out.put("\\f");
    case '\n': return out.put("\\n");
    case '\r': return out.put("\\r");
    case '\t': return out.put("\\t");
    default: break;
  }
  auto byte = static_cast<unsigned char>(c);
  out.put("\\u00");
  out.put(digits[byte >> 4U]);
  out.put(digits[byte & 15U]);
}

/// Bytes of the sequence at the start of `text` if it is valid UTF-8, else 0.
std::size_t sequence(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return length <= text.size() && simdjson::validate_utf8(text.data(), length) ? length : 0;
}

void put_escaped(Writer& out, std::string_view text) {
  bool valid = simdjson::validate_utf8(text);
  std::size_t done = 0;
  for (std::size_t i = 0; i < text.size();) {
    bool escape = text[i] == '"' || text[i] == '\\' || static_cast<unsigned char>(text[i]) < 0x20;
    std::size_t good = escape ? 0 : valid ? 1 : sequence(text.substr(i));
    if (good) {
      i += good;
      continue;
    }
    out.put(text.substr(done, i - done));
    if (escape) put_escape(out, text[i]);
    if (!escape) out.put("\xEF\xBF\xBD");  // the replacement character, so that what goes out is JSON whatever a script made
    done = ++i;
  }
  out.put(text.substr(done));
}

/// Text in quotes if that takes no escapes and is short, else null.
char* write_plain(char* to, std::string_view text) {
  if (!is_plain(text)) return nullptr;
  *to++ = '"';
  to = std::copy(text.begin(), text.end(), to);
  *to++ = '"';
  return to;
}

void put_string(Writer& out, std::string_view text) {
  if (text.size() + 2 <= Writer::small) {
    if (char* end = write_plain(out.room(text.size() + 2), text)) return out.advance(end);
  }
  out.put('"');
  put_escaped(out, text);
  out.put('"');
}

void put_base64(Writer& out, std::string_view raw) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out.put('"');
  for (std::size_t i = 0; i < raw.size(); i += 3) {
    std::size_t have = std::min<std::size_t>(3, raw.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8U | (k < have ? static_cast<unsigned char>(raw[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out.put(k <= have ? alphabet[bits >> (18U - 6U * k) & 63U] : '=');
  }
  out.put('"');
}

constexpr std::size_t longest_number = 32;

char* write_number(char* to, std::int64_t number) { return std::to_chars(to, to + longest_number, number).ptr; }

/// Writes a number of up to 9 digits before the point and 6 behind exactly as its shortest form, or returns null. If r / 10^6,
/// rounded once, gives the number back, and r has at most 15 digits, then r's digits are the only ones so short that do.
char* write_short_number(char* to, double number) {
  constexpr double scale = 1e6;
  constexpr std::int64_t unit = 1'000'000;
  double magnitude = std::abs(number);
  if (!(magnitude < 1e9)) return nullptr;
  // NOLINTNEXTLINE(bugprone-incorrect-roundings): quicker than lround, and the next line refuses what was rounded wrongly
  auto scaled = static_cast<std::int64_t>(magnitude * scale + 0.5);
  if (static_cast<double>(scaled) / scale != magnitude) return nullptr;

  if (std::signbit(number)) *to++ = '-';
  to = std::to_chars(to, to + longest_number, static_cast<std::uint32_t>(scaled / unit)).ptr;
  *to++ = '.';
  auto fraction = static_cast<std::uint32_t>(scaled % unit);
  int digits = 6;
  if (fraction % 1000 == 0) {
    fraction /= 1000;
    digits = 3;
  }
  while (digits > 1 && fraction % 10 == 0) {
    fraction /= 10;
    --digits;
  }
  for (int i = digits - 1; i >= 0; --i, fraction /= 10) to[i] = static_cast<char>('0' + fraction % 10);
  return to + digits;
}

char* write_number(char* to, double number) {
  if (char* end = write_short_number(to, number)) return end;
  if (!std::isfinite(number)) return std::copy_n("null", 4, to);
  // From here on the plain form of an integer has more digits than it takes to tell it from its neighbours.
  constexpr double large = 1e16;
  char* end = std::abs(number) < large ? std::to_chars(to, to + longest_number, number).ptr
                                       : std::to_chars(to, to + longest_number, number, std::chars_format::scientific).ptr;
  char* e = std::find(to, end, 'e');
  if (e == end) return std::find(to, end, '.') == end ? std::copy_n(".0", 2, end) : end;
  // 1e+16 and 1e-07 as other encoders write them: 1e16, 1e-7.
  char* exponent = e + 1;
  char* digits = exponent + 1;
  if (*digits == '0') ++digits;
  if (*exponent == '-') ++exponent;
  return std::copy(digits, end, exponent);
}

template <class Number>
void put_number(Writer& out, Number number) {
  out.advance(write_number(out.room(longest_number), number));
}

void put_fields(Writer& out, std::span<const Field> fields);

void put_value(Writer& out, const Value& value) {
  switch (value.type()) {
    case Type::null: return out.put("null");
    case Type::boolean: return out.put(value.as_boolean() ? "true" : "false");
    case Type::integer: return put_number(out, value.as_integer());
    case Type::real: return put_number(out, value.as_real());
    case Type::string: return put_string(out, value.as_text());
    case Type::bytes: return put_base64(out, value.as_text());
    case Type::object: return put_fields(out, value.as_object());
    case Type::list: break;
  }
  out.put('[');
  bool first = true;
  for (const Value& item : value.as_list()) {
    if (!first) out.put(',');
    first = false;
    put_value(out, item);
  }
  out.put(']');
}

/// A short name and its number in one go, which is what telemetry consists of; false if it is something else.
bool put_reading(Writer& out, const Field& field) {
  if (field.name.size() + longest_number + 3 > Writer::small) return false;
  if (field.value.type() != Type::real && field.value.type() != Type::integer) return false;
  char* to = write_plain(out.room(field.name.size() + longest_number + 3), field.name);
  if (!to) return false;
  *to++ = ':';
  out.advance(field.value.type() == Type::real ? write_number(to, field.value.as_real())
                                               : write_number(to, field.value.as_integer()));
  return true;
}

void put_fields(Writer& out, std::span<const Field> fields) {
  char before = '{';
  for (const Field& field : fields) {
    out.put(before);
    before = ',';
    if (put_reading(out, field)) continue;
    put_string(out, field.name);
    out.put(':');
    put_value(out, field.value);
  }
  if (fields.empty()) out.put('{');
  out.put('}');
}

/// Milliseconds with up to three decimals, from the microseconds themselves: a double would lose none today, but need not be
/// asked.
void put_time(Writer& out, Time time) {
  std::int64_t micros = time.time_since_epoch().count();
  if (micros < 0) out.put('-');
  std::uint64_t magnitude = micros < 0 ? 0 - static_cast<std::uint64_t>(micros) : static_cast<std::uint64_t>(micros);
  put_number(out, static_cast<std::int64_t>(magnitude / 1000));
  auto fraction = static_cast<unsigned>(magnitude % 1000);
  if (fraction == 0) return;
  out.put('.');
  for (unsigned unit = 100; fraction != 0; fraction %= unit, unit /= 10) out.put(static_cast<char>('0' + fraction / unit));
}

}  // namespace

void append_json(std::string& out, const Value& value) {
  Writer writer(out);
  put_value(writer, value);
}

void append_json(std::string& out, std::span<const Field> fields) {
  Writer writer(out);
  put_fields(writer, fields);
}

void append_json_string(std::string& out, std::string_view text) {
  Writer writer(out);
  put_string(writer, text);
}

void append_json_number(std::string& out, double number) {
  Writer writer(out);
  put_number(writer, number);
}

void append_json_number(std::string& out, std::int64_t number) {
  Writer writer(out);
  put_number(writer, number);
}

void append_json_record(std::string& out, const Record& record, bool with_kind_and_meta) {
  Writer writer(out);
  writer.put(R"({"device":)");
  put_string(writer, record.device);
  writer.put(R"(,"time":)");
  put_time(writer, record.time);
  if (with_kind_and_meta) {
    writer.put(R"(,"kind":)");
    put_string(writer, record.kind);
  }
  writer.put(R"(,"fields":)");
  put_fields(writer, record.fields.view());
  if (with_kind_and_meta) {
    writer.put(R"(,"meta":)");
    put_fields(writer, record.meta.view());
  }
  writer.put('}');
}

}  // namespace millrace
