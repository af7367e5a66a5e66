#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runner/stage/error.h"

namespace millrace::mqtt_source {

/// What is wrong with a topic filter (MQTT 3.1.1 section 4.7, and `$share/GROUP/FILTER`), or nothing.
std::string problem_of_filter(std::string_view filter);

/// A pattern that names levels of a topic: `plant/{site}/{device}/+`. A level is a text, `{name}`, or `+`; a last level `#`
/// stands for any number of levels, none included.
class TopicTemplate {
 public:
  static Result<TopicTemplate> parse(std::string_view text);

  /// The level called `{device}` of a topic, or nothing if the topic does not match. Other named levels are put into `others`
  /// in the template's order, where names and values live as long as the template and the topic.
  std::string_view match(std::string_view topic, std::vector<std::pair<std::string_view, std::string_view>>& others) const;

 private:
  struct Level {
    enum class Kind { text, name, any, rest } kind;
    std::string text;
  };
  std::vector<Level> levels_;
};

}  // namespace millrace::mqtt_source
