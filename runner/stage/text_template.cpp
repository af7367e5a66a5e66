#include "runner/stage/text_template.h"

#include <fmt/core.h>

namespace millrace {

Result<TextTemplate> TextTemplate::parse(std::string_view text) {
  TextTemplate made;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::size_t open = rest.find('{');
    std::string_view literal = rest.substr(0, open);
    if (literal.find('}') != std::string_view::npos) return invalid("a } needs a { before it");
    if (!literal.empty()) made.parts_.push_back({std::string(literal), false});
    if (open == std::string_view::npos) break;
    std::size_t close = rest.find('}', open);
    if (close == std::string_view::npos || close == open + 1) return invalid("a { must be followed by a name and }");
    made.parts_.push_back({std::string(rest.substr(open + 1, close - open - 1)), true});
    rest.remove_prefix(close + 1);
  }
  return made;
}

Result<std::string> TextTemplate::filling(const Record& record, const std::string& name) {
  if (name == "device") return std::string(record.device);
  const Value* value = record.fields.find(name);
  if (!value) return rejected(fmt::format("'{}': there is no such field", name));
  switch (value->type()) {
    case Type::string: return std::string(value->as_text());
    case Type::integer: return std::to_string(value->as_integer());
    case Type::boolean: return std::string(value->as_boolean() ? "true" : "false");
    default: return rejected(fmt::format("'{}': it is no text, integer or bool", name));
  }
}

Result<void> TextTemplate::fill(const Record& record, std::string& out) const {
  for (const Part& part : parts_) {
    if (!part.hole) {
      out += part.text;
      continue;
    }
    auto filled = filling(record, part.text);
    if (!filled) return filled.error();
    out += *filled;
  }
  return {};
}

}  // namespace millrace
