#include "plugins/signalr/audience.h"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

namespace millrace::signalr {
namespace {

std::optional<std::string> text_of(const Value& value) {
  switch (value.type()) {
    case Type::string: return std::string(value.as_text());
    case Type::integer: return std::to_string(value.as_integer());
    case Type::boolean: return value.as_boolean() ? "true" : "false";
    default: return std::nullopt;
  }
}

}  // namespace

bool Audience::excepts(std::string_view connection) const {
  return std::find(except.begin(), except.end(), connection) != except.end();
}

std::string Channel::key() const {
  if (audience.reach == Reach::interested) return target;
  std::string key = target + '\0' + static_cast<char>('0' + static_cast<int>(audience.reach)) + audience.name;
  for (const std::string& id : audience.except) key += '\0' + id;
  return key;
}

Result<Template> Template::parse(std::string_view text) {
  auto wrong = [&](std::string_view why) { return invalid(fmt::format("'{}': {}", text, why)); };
  if (text.empty()) return wrong("expected a name, with fields in braces: device:{device}");
  Template made;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::size_t open = rest.find('{');
    std::string_view literal = rest.substr(0, open);
    if (literal.find('}') != std::string_view::npos) return wrong("a } needs a { before it");
    if (!literal.empty()) made.parts_.push_back({std::string(literal), false});
    if (open == std::string_view::npos) break;
    std::size_t close = rest.find('}', open);
    if (close == std::string_view::npos || close == open + 1) return wrong("a { must be followed by a name and }");
    made.parts_.push_back({std::string(rest.substr(open + 1, close - open - 1)), true});
    rest.remove_prefix(close + 1);
  }
  return made;
}

Result<void> Template::fill(const Record& record, std::string& out) const {
  for (const Part& part : parts_) {
    if (!part.hole) {
      out += part.text;
      continue;
    }
    if (part.text == "device") {
      out += record.device;
      continue;
    }
    const Value* value = record.fields.find(part.text);
    std::optional<std::string> text = value ? text_of(*value) : std::nullopt;
    if (!text)
      return rejected(
          fmt::format("`to` needs '{}': {}", part.text, value ? "it is no text, integer or bool" : "there is no such field"));
    out += *text;
  }
  return {};
}

Result<Audience> Addressing::of(const Record& record) const {
  Audience audience{.reach = reach};
  if (auto filled = name.fill(record, audience.name); !filled) return filled.error();
  if (reach != Reach::all && (audience.name.empty() || audience.name.size() > longest_group))
    return rejected(fmt::format("`to` comes to '{:.40}', which is no name of 1 to {} bytes", audience.name, longest_group));
  for (const Template& one : except) {
    if (auto filled = one.fill(record, audience.except.emplace_back()); !filled) return filled.error();
  }
  return audience;
}

}  // namespace millrace::signalr
