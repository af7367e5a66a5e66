#include <array>
#include <bit>

#include "runner/link/wire.h"

namespace millrace::link::wire {
namespace {

/// Appends MessagePack, each value in its shortest form (the format's specification,
/// github.com/msgpack/msgpack/blob/master/spec.md).
class Packer {
 public:
  explicit Packer(std::string& out) : out_(out) {}

  void list(std::size_t size) { size < 16 ? byte(0x90U | size) : sized({0, 0xDC, 0xDD}, size); }
  void map(std::size_t size) { size < 16 ? byte(0x80U | size) : sized({0, 0xDE, 0xDF}, size); }

  void text(std::string_view text) {
    text.size() < 32 ? byte(0xA0U | text.size()) : sized({0xD9, 0xDA, 0xDB}, text.size());
    out_ += text;
  }

  void number(std::uint64_t number) {
    if (number < 0x80) return byte(number);
    if (number <= 0xFF) return big_endian(0xCC, static_cast<std::uint8_t>(number));
    if (number <= 0xFFFF) return big_endian(0xCD, static_cast<std::uint16_t>(number));
    if (number <= 0xFFFF'FFFF) return big_endian(0xCE, static_cast<std::uint32_t>(number));
    big_endian(0xCF, number);
  }

  void number(std::int64_t number) {
    if (number >= 0) return this->number(static_cast<std::uint64_t>(number));
    if (number >= -32) return byte(static_cast<std::uint8_t>(number));
    if (number >= INT8_MIN) return big_endian(0xD0, static_cast<std::uint8_t>(number));
    if (number >= INT16_MIN) return big_endian(0xD1, static_cast<std::uint16_t>(number));
    if (number >= INT32_MIN) return big_endian(0xD2, static_cast<std::uint32_t>(number));
    big_endian(0xD3, static_cast<std::uint64_t>(number));
  }

  void fields(std::span<const Field> fields) {
    map(fields.size());
    for (const Field& field : fields) {
      text(field.name);
      value(field.value);
    }
  }

  void value(const Value& value) {
    switch (value.type()) {
      case Type::null: return byte(0xC0);
      case Type::boolean: return byte(value.as_boolean() ? 0xC3 : 0xC2);
      case Type::integer: return number(value.as_integer());
      case Type::real: return big_endian(0xCB, std::bit_cast<std::uint64_t>(value.as_real()));
      case Type::string: return text(value.as_text());
      case Type::bytes:
        sized({0xC4, 0xC5, 0xC6}, value.as_text().size());
        out_ += value.as_text();
        return;
      case Type::object: return fields(value.as_object());
      case Type::list:
        list(value.as_list().size());
        for (const Value& item : value.as_list()) this->value(item);
    }
  }

 private:
  void byte(std::uint64_t byte) { out_ += static_cast<char>(byte); }

  template <class Number>
  void big_endian(unsigned first, Number number) {
    std::array<char, 1 + sizeof number> bytes{static_cast<char>(first)};
    for (std::size_t i = 0; i < sizeof number; ++i)
      bytes[1 + i] = static_cast<char>(static_cast<std::uint64_t>(number) >> 8 * (sizeof number - 1 - i));
    out_.append(bytes.data(), bytes.size());
  }

  /// A header whose length takes one, two or four bytes after `first[0]`, `[1]`, `[2]`; 0: there is no such form.
  void sized(std::array<unsigned, 3> first, std::size_t size) {
    if (first[0] != 0 && size <= 0xFF) return big_endian(first[0], static_cast<std::uint8_t>(size));
    if (size <= 0xFFFF) return big_endian(first[1], static_cast<std::uint16_t>(size));
    big_endian(first[2], static_cast<std::uint32_t>(size));
  }

  std::string& out_;
};

}  // namespace

std::string encode_batch(const Batch& batch) {
  std::string out;
  out.reserve(batch.size() * 96 + 8);
  Packer packer(out);
  packer.list(batch.size());
  for (const Record& r : batch.records) {
    packer.list(8);
    packer.text(r.device);
    packer.number(static_cast<std::int64_t>(r.time.time_since_epoch().count()));
    packer.number(static_cast<std::int64_t>(r.arrival.time_since_epoch().count()));
    packer.text(r.kind);
    packer.fields(r.fields.view());
    packer.fields(r.meta.view());
    packer.number(static_cast<std::uint64_t>(r.source));
    packer.number(r.sequence);
  }
  return out;
}

}  // namespace millrace::link::wire
