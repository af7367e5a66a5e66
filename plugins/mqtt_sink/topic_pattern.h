#pragma once

#include <string>
#include <string_view>

#include "runner/stage/error.h"
#include "runner/stage/record.h"
#include "runner/stage/text_template.h"

namespace millrace::mqtt_sink {

/// A topic with holes: `devices/{device}/{sensor}/state`. `{device}` is the record's device, any other name a field of it.
class TopicPattern {
 public:
  static Result<TopicPattern> parse(std::string_view text);

  /// Appends the record's topic to `topic`. Rejected if a value is missing, is neither a text, an integer nor a bool, or cannot
  /// be part of one level of a topic.
  Result<void> fill(const Record& record, std::string& topic) const;

 private:
  TextTemplate template_;
};

}  // namespace millrace::mqtt_sink
