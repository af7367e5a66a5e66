#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runner/stage/error.h"

namespace millrace::alert {

/// A text for people with places to be filled in: `{key}: up {value:.1f} points`. `{{` is a brace.
class Message {
 public:
  /// A number, or a text. A null number is written as `null`.
  using Filling = std::variant<double, std::string>;

  /// `numbers` and `texts` are the names that may stand in braces. An error says what is wrong and lists them.
  static Result<Message> parse(std::string_view text, const std::vector<std::string>& numbers,
                               const std::vector<std::string>& texts);

  std::string fill(const std::function<Filling(std::string_view name)>& value) const;

 private:
  struct Part {
    std::string text;    ///< literal, or the name
    std::string format;  ///< for fmt; empty for a literal
  };
  std::vector<Part> parts_;
};

}  // namespace millrace::alert
