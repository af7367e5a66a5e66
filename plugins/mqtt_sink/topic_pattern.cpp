#include "plugins/mqtt_sink/topic_pattern.h"

#include <fmt/core.h>

namespace millrace::mqtt_sink {
namespace {

constexpr std::string_view forbidden_in_level{"+#/\0", 4};
constexpr std::string_view forbidden_in_topic{"+#\0", 3};

}  // namespace

Result<TopicPattern> TopicPattern::parse(std::string_view text) {
  auto wrong = [&](std::string_view why) { return invalid(fmt::format("topic '{}': {}", text, why)); };
  if (text.empty()) return wrong("is empty");
  auto parsed = TextTemplate::parse(text);
  if (!parsed) return wrong(parsed.error().what);
  TopicPattern made;
  made.template_ = std::move(*parsed);
  for (const TextTemplate::Part& part : made.template_.parts())
    if (!part.hole && part.text.find_first_of(forbidden_in_topic) != std::string::npos)
      return wrong("may not hold +, # or a zero byte");
  return made;
}

Result<void> TopicPattern::fill(const Record& record, std::string& topic) const {
  for (const TextTemplate::Part& part : template_.parts()) {
    if (!part.hole) {
      topic += part.text;
      continue;
    }
    auto filled = TextTemplate::filling(record, part.text);
    if (!filled) return rejected(fmt::format("the topic needs {}", filled.error().what));
    if (filled->empty() || filled->find_first_of(forbidden_in_level) != std::string::npos)
      return rejected(fmt::format("{} '{}' cannot be part of a topic: it is empty or holds one of + # /", part.text, *filled));
    topic += *filled;
  }
  return {};
}

}  // namespace millrace::mqtt_sink
