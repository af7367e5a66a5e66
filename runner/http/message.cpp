#include "runner/http/message.h"

#include <algorithm>

namespace millrace::http {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Calls `visit(part)` for each part of `text` between separators, until it returns false.
template <class Visit>
void split(std::string_view text, char separator, Visit visit) {
  while (true) {
    auto end = text.find(separator);
    if (!visit(text.substr(0, end)) || end == std::string_view::npos) return;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (c == '%') {
      int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return std::nullopt;
    decoded += c;
  }
  return decoded;
}

const std::string* Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equal_ignoring_case(key, name)) return &value;
  return nullptr;
}

bool Request::header_has_token(std::string_view name, std::string_view token) const {
  bool found = false;
  for (const auto& [key, value] : headers) {
    if (!equal_ignoring_case(key, name)) continue;
    split(value, ',', [&](std::string_view part) {
      found = found || equal_ignoring_case(trim(part), token);
      return !found;
    });
  }
  return found;
}

std::vector<std::string> Request::parameters(std::string_view name) const {
  std::vector<std::string> values;
  split(query, '&', [&](std::string_view part) {
    auto equals = part.find('=');
    auto key = percent_decode(part.substr(0, equals), true);
    if (!key || !equal_ignoring_case(*key, name)) return true;
    auto value = percent_decode(equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1), true);
    if (value) values.push_back(std::move(*value));
    return true;
  });
  return values;
}

std::optional<std::string> Request::parameter(std::string_view name) const {
  auto values = parameters(name);
  return values.empty() ? std::nullopt : std::optional(std::move(values.front()));
}

}  // namespace millrace::http
