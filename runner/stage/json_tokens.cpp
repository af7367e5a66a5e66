#include "runner/stage/json_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace millrace::json {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// The offset of the first byte of the first sequence that is not UTF-8 (RFC 3629).
std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (length > 1 && !simdjson::validate_utf8(text.data() + i, std::min(length, text.size() - i))) return i;
    i += length;
  }
  return no_position;
}

}  // namespace

std::string shown(char c) {
  auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7F ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02X}", byte);
}

void Tokens::load(std::string_view from, Arena& arena) {
  char* copy = arena.allocate<char>(from.size() + simdjson::SIMDJSON_PADDING);
  std::copy(from.begin(), from.end(), copy);  // an empty text may have no address, which memcpy forbids
  std::memset(copy + from.size(), ' ', simdjson::SIMDJSON_PADDING);
  if (from.starts_with(byte_order_mark)) std::memset(copy, ' ', byte_order_mark.size());
  text = copy;
  length = from.size();
  next = end = nullptr;
}

simdjson::error_code Tokens::scan() {
  if (length == 0) return simdjson::EMPTY;
  if (length > capacity_) {
    constexpr std::size_t least = 4096;
    std::size_t wanted = std::max(length, least);
    auto error = scanner_ ? scanner_->set_capacity(wanted)
                          : simdjson::get_active_implementation()->create_dom_parser_implementation(wanted, 1, scanner_);
    capacity_ = error ? 0 : wanted;
    if (error) return error;
  }
  auto error = scanner_->stage1(reinterpret_cast<const std::uint8_t*>(text), length, simdjson::stage1_mode::regular);
  if (error) return error;
  next = scanner_->structural_indexes.get();
  end = next + scanner_->n_structural_indexes;
  return simdjson::SUCCESS;
}

Fault Tokens::explain(simdjson::error_code error) const {
  switch (error) {
    case simdjson::EMPTY: return {0, "there is no JSON in it"};
    case simdjson::UTF8_ERROR: return {first_invalid_utf8({text, length}), "invalid UTF-8"};
    case simdjson::MEMALLOC: return {0, fmt::format("no memory for a text of {} bytes", length)};
    default: break;
  }
  std::size_t opened = no_position;
  for (std::size_t i = 0; i < length; ++i) {
    bool inside = opened != no_position;
    if (text[i] == '"') {
      opened = inside ? no_position : i;
    } else if (inside && text[i] == '\\') {
      ++i;
    } else if (inside && static_cast<unsigned char>(text[i]) < 0x20) {
      return {i, fmt::format("control character {} in a string; it must be written as an escape", shown(text[i]))};
    }
  }
  return {opened, "this string is never closed"};
}

void Tokens::skip_to(std::size_t offset) { next = std::lower_bound(next, end, static_cast<std::uint32_t>(offset)); }

bool Tokens::unescape(std::string_view raw, std::string& into) const {
  into.resize(raw.size() + simdjson::SIMDJSON_PADDING);
  auto* to = reinterpret_cast<std::uint8_t*>(into.data());
  const std::uint8_t* written = scanner_->parse_string(reinterpret_cast<const std::uint8_t*>(raw.data()), to);
  if (written) into.resize(static_cast<std::size_t>(written - to));
  return written != nullptr;
}

}  // namespace millrace::json
