#include "runner/config/codec.h"

#include <fmt/format.h>

#include <charconv>

namespace millrace::config {
namespace detail {
namespace {

/// Whether the scalar may be read as something other than text: a quoted number is a text.
bool typed(const Node& node) { return node.is_scalar() && !node.unknown && (!node.quoted || node.substituted); }

template <class T>
bool read_whole(const std::string& text, T& to) {
  const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
  const char* end = text.data() + text.size();
  auto [rest, error] = std::from_chars(begin, end, to);
  return error == std::errc{} && rest == end && begin != end;
}

}  // namespace

bool read_bool(const Node& node, bool& to) {
  if (!typed(node) || (node.text != "true" && node.text != "false")) return false;
  to = node.text == "true";
  return true;
}

bool read_integer(const Node& node, std::int64_t& to) { return typed(node) && read_whole(node.text, to); }

bool read_number(const Node& node, double& to) { return typed(node) && read_whole(node.text, to); }

bool read_text(const Node& node, std::string& to) {
  if (!node.is_scalar() || node.unknown) return false;
  to = node.text;
  return true;
}

std::string show_number(double number) { return fmt::format("{}", number); }

void complain(const Node& node, std::string_view name, std::string_view expected, bool secret, Problems& problems) {
  if (node.unknown) return;
  std::string got = secret && node.is_scalar() ? "something else" : node.shown();
  std::string what = fmt::format("expected {}, got {}", expected, got);
  problems.add(node.position, name.empty() ? what : fmt::format("'{}': {}", name, what));
}

bool refuse_empty_name(const Entry& entry, std::string_view of, Problems& problems) {
  problems.add(entry.position, fmt::format("'{}': a name may not be empty", of));
  return false;
}

std::string name_list(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void each_element(const Node& node, const std::function<void(const Node&)>& f) {
  if (!node.is_list() && !node.is_map()) return f(node);
  for (const Node& item : node.items) f(item);
  for (const Entry& entry : node.entries) f(entry.value);
}

}  // namespace detail

bool Codec<Duration>::read(const Node& node, Duration& to, const FieldReader& field) {
  if (!node.is_scalar() || node.unknown) return field.wrong(node, "a duration");
  auto duration = parse_duration(node.text);
  if (!duration) return field.wrong(node, duration.error().what);
  to = *duration;
  return true;
}

bool Codec<Bytes>::read(const Node& node, Bytes& to, const FieldReader& field) {
  if (!node.is_scalar() || node.unknown) return field.wrong(node, "a size");
  auto bytes = parse_bytes(node.text);
  if (!bytes) return field.wrong(node, bytes.error().what);
  to = *bytes;
  return true;
}

bool Codec<Path>::read(const Node& node, Path& to, const FieldReader& field) {
  if (!node.is_scalar() || node.unknown || node.text.empty()) return field.wrong(node, "a path");
  to.path = field.problems.resolve(node.text);
  return true;
}

bool Codec<InputFile>::read(const Node& node, InputFile& to, const FieldReader& field) {
  if (!node.is_scalar() || node.unknown || node.text.empty()) return field.wrong(node, "a path");
  to.path = field.problems.resolve(node.text);
  return field.problems.read(node.text, node.position, to.text);
}
}  // namespace millrace::config
