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

/// `as`: what the format is for.
enum class Holds { number, text, either };

bool fits_number(const std::string& format, std::string& why) {
  try {
    (void)fmt::format(fmt::runtime(format), 1.5);
    return true;
  } catch (const fmt::format_error& e) {
    why = e.what();
    return false;
  }
}

bool fits_text(const std::string& format, std::string& why) {
  try {
    (void)fmt::format(fmt::runtime(format), std::string("x"));
    return true;
  } catch (const fmt::format_error& e) {
    why = e.what();
    return false;
  }
}

Result<void> check_format(const std::string& written, const std::string& format, Holds holds) {
  // A width or precision of many digits would be carried out, digit by digit.
  constexpr int most_digits = 2;
  int digits = 0;
  for (char c : format) {
    digits = std::isdigit(static_cast<unsigned char>(c)) ? digits + 1 : 0;
    if (digits > most_digits) return invalid(fmt::format("{{{}}}: a width or precision of at most 99", written));
  }
  std::string why;
  if (holds != Holds::text && fits_number(format, why)) return {};
  if (holds != Holds::number && fits_text(format, why)) return {};
  return invalid(fmt::format("{{{}}} is no format for {}: {}", written, holds == Holds::text ? "a text" : "a number", why));
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
    bool field = name.starts_with(of_record) && name.size() > of_record.size();
    if (!number && !field && std::find(texts.begin(), texts.end(), name) == texts.end()) {
      std::vector<std::string> known = numbers;
      known.insert(known.end(), texts.begin(), texts.end());
      known.emplace_back("record.FIELD");
      return invalid(fmt::format("'{{{}}}' stands for nothing here{}; there are {}", name, config::did_you_mean(name, known),
                                 fmt::join(known, ", ")));
    }
    if (auto good = check_format(std::string(inside), format,
                                 field    ? Holds::either
                                 : number ? Holds::number
                                          : Holds::text);
        !good)
      return good.error();
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
    std::string why;
    if (const double* number = std::get_if<double>(&filling))
      text += fits_number(part.format, why) ? format_number(part.format, *number) : format_number("{}", *number);
    else if (const std::string* words = std::get_if<std::string>(&filling))
      text += fits_text(part.format, why) ? fmt::format(fmt::runtime(part.format), *words) : *words;
    else
      text += "null";
  }
  return text;
}

void Message::list_fields(std::set<std::string>& to) const {
  for (const Part& part : parts_)
    if (!part.format.empty() && part.text.starts_with(of_record)) to.insert(part.text.substr(of_record.size()));
}

bool Message::mentions(std::string_view name) const {
  return std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return !part.format.empty() && part.text == name; });
}

}  // namespace millrace::alert
