#include "plugins/alert/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "plugins/alert/aggregate.h"
#include "runner/config/node.h"

namespace millrace::alert {

namespace {

std::string format_number(const std::string& format, double number) {
  if (is_null(number)) return "null";
  return fmt::format(fmt::runtime(format), number);
}

Result<void> check_format(const std::string& written, const std::string& format, bool number) {
  // A width or precision of many digits would be carried out, digit by digit.
  constexpr int most_digits = 2;
  int digits = 0;
  for (char c : format) {
    digits = std::isdigit(static_cast<unsigned char>(c)) ? digits + 1 : 0;
    if (digits > most_digits) return invalid(fmt::format("{{{}}}: a width or precision of at most 99", written));
  }
  try {
    if (number)
      (void)fmt::format(fmt::runtime(format), 1.5);
    else
      (void)fmt::format(fmt::runtime(format), std::string("x"));
  } catch (const fmt::format_error& e) {
    return invalid(fmt::format("{{{}}} is no format for {}: {}", written, number ? "a number" : "a text", e.what()));
  }
  return {};
}

}  // namespace

Result<Message> Message::parse(std::string_view text, const std::vector<std::string>& numbers,
                               const std::vector<std::string>& texts) {
  Message message;
  std::string literal;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    bool doubled = i + 1 < text.size() && text[i + 1] == c;
    if ((c == '{' || c == '}') && doubled) {
      literal += c;
      ++i;
      continue;
    }
    if (c != '{') {
      literal += c;
      continue;
    }
    std::size_t end = text.find('}', i);
    if (end == std::string_view::npos) return invalid("a '{' without its '}'; write '{{' for a brace");
    std::string_view inside = text.substr(i + 1, end - i - 1);
    std::string name(inside.substr(0, inside.find(':')));
    std::string format = "{" + std::string(inside.substr(std::min(inside.size(), name.size()))) + "}";
    bool number = std::find(numbers.begin(), numbers.end(), name) != numbers.end();
    if (!number && std::find(texts.begin(), texts.end(), name) == texts.end()) {
      std::vector<std::string> known = numbers;
      known.insert(known.end(), texts.begin(), texts.end());
      return invalid(fmt::format("'{{{}}}' stands for nothing here{}; there are {}", name, config::did_you_mean(name, known),
                                 fmt::join(known, ", ")));
    }
    if (auto good = check_format(std::string(inside), format, number); !good) return good.error();
    if (!literal.empty()) message.parts_.push_back({std::move(literal), ""});
    literal.clear();
    message.parts_.push_back({std::move(name), std::move(format)});
    i = end;
  }
  if (!literal.empty()) message.parts_.push_back({std::move(literal), ""});
  return message;
}

std::string Message::fill(const std::function<Filling(std::string_view name)>& value) const {
  std::string text;
  for (const Part& part : parts_) {
    if (part.format.empty()) {
      text += part.text;
      continue;
    }
    Filling filling = value(part.text);
    if (const double* number = std::get_if<double>(&filling))
      text += format_number(part.format, *number);
    else
      text += fmt::format(fmt::runtime(part.format), std::get<std::string>(filling));
  }
  return text;
}

}  // namespace millrace::alert
