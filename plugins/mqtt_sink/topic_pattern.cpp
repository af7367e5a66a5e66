#include "plugins/mqtt_sink/topic_pattern.h"

#include <fmt/core.h>

#include <optional>

namespace millrace::mqtt_sink {
namespace {

constexpr std::string_view forbidden_in_level{"+#/\0", 4};

std::optional<std::string> text_of(const Value& value) {
  switch (value.type()) {
    case Type::string: return std::string(value.as_text());
    case Type::integer: return std::to_string(value.as_integer());
    case Type::boolean: return value.as_boolean() ? "true" : "false";
    default: return std::nullopt;
  }
}

}  // namespace

Result<TopicPattern> TopicPattern::parse(std::string_view text) {
  auto wrong = [&](std::string_view why) { return invalid(fmt::format("topic '{}': {}", text, why)); };
  if (text.empty()) return wrong("is empty");
  TopicPattern made;
  std::string_view rest = text;
  while (!rest.empty()) {
    std::size_t open = rest.find('{');
    std::string_view literal = rest.substr(0, open);
    if (literal.find_first_of(std::string_view("+#\0}", 4)) != std::string_view::npos)
      return wrong("may not hold +, #, } or a zero byte");
    if (!literal.empty()) made.parts_.push_back({std::string(literal), false});
    if (open == std::string_view::npos) break;
    std::size_t close = rest.find('}', open);
    if (close == std::string_view::npos || close == open + 1) return wrong("a { must be followed by a name and }");
    made.parts_.push_back({std::string(rest.substr(open + 1, close - open - 1)), true});
    rest.remove_prefix(close + 1);
  }
  return made;
}

Result<void> TopicPattern::fill(const Record& record, std::string& topic) const {
  for (const Part& part : parts_) {
    if (!part.hole) {
      topic += part.text;
      continue;
    }
    std::string filled;
    if (part.text == "device") {
      filled = record.device;
    } else {
      const Value* value = record.fields.find(part.text);
      std::optional<std::string> text = value ? text_of(*value) : std::nullopt;
      if (!text)
        return rejected(fmt::format("the topic needs '{}': {}", part.text,
                                    value ? "it is no text, integer or bool" : "there is no such field"));
      filled = std::move(*text);
    }
    if (filled.empty() || filled.find_first_of(forbidden_in_level) != std::string::npos)
      return rejected(fmt::format("{} '{}' cannot be part of a topic: it is empty or holds one of + # /", part.text, filled));
    topic += filled;
  }
  return {};
}

}  // namespace millrace::mqtt_sink
