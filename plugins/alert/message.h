#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/alert/quote.h"
#include "runner/stage/error.h"

namespace millrace::alert {

/// A text for people with places to be filled in: `{key}: up {value:.1f} points`. `{{` is a brace.
class Message {
 public:
  /// A number, or a text. Nothing, and a null number, are written as `null`.
  using Filling = Quote;

  /// `numbers` and `texts` are the names that may stand in braces, besides `record.FIELD` for any field. An error says what is
  /// wrong and lists them.
  static Result<Message> parse(std::string_view text, const std::vector<std::string>& numbers,
                               const std::vector<std::string>& texts);

  std::string fill(const std::function<Filling(std::string_view name)>& value) const;

  /// The fields of `record.FIELD`, added to `to`.
  void list_fields(std::set<std::string>& to) const;
  bool mentions(std::string_view name) const;
  static constexpr std::string_view of_record = "record.";

 private:
  struct Part {
    std::string text;    ///< literal, or the name
    std::string format;  ///< for fmt; empty for a literal
  };
  std::vector<Part> parts_;
};

}  // namespace millrace::alert
