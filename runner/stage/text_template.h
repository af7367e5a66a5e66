#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/error.h"
#include "runner/stage/record.h"

namespace millrace {

/// A text with holes that a record fills: `device:{device}`. `{device}` is the record's device, any other name a field of it.
class TextTemplate {
 public:
  struct Part {
    std::string text;  ///< literally, or the name of what is filled in
    bool hole;
  };

  /// `invalid` says what is wrong, without the text itself.
  static Result<TextTemplate> parse(std::string_view text);

  const std::vector<Part>& parts() const { return parts_; }

  /// What fills a hole of that name. Rejected if the value is missing or is neither a text, an integer nor a bool; says the
  /// name.
  static Result<std::string> filling(const Record& record, const std::string& name);

  /// Appends the filled text to `out`.
  Result<void> fill(const Record& record, std::string& out) const;

 private:
  std::vector<Part> parts_;
};

}  // namespace millrace
