#include "plugins/alert/reading.h"

#include <functional>
#include <utility>

#include "runner/stage/json.h"

namespace millrace::alert {

Reading::Reading(const std::vector<Input>& inputs, std::vector<std::string> quoted) : quoted_(std::move(quoted)) {
  for (const Input& input : inputs) {
    Wanted wanted{input.field, input.reading, {}};
    bool truth = false;
    double number = 0;
    if (input.reading != Input::Reading::same)
      wanted.same_as = std::monostate{};
    else if (config::detail::read_bool(input.wanted, truth))
      wanted.same_as = truth;
    else if (config::detail::read_number(input.wanted, number))
      wanted.same_as = number;
    else
      wanted.same_as = input.wanted.text;
    wanted_.push_back(std::move(wanted));
  }
}

void Reading::read(const Record& record, double* to) const {
  for (const Wanted& wanted : wanted_) {
    const Value* value = record.fields.find(wanted.field);
    *to++ = value ? read(wanted, *value) : null_value;
  }
}

void Reading::quote(const Record& record, Quote* to) const {
  for (std::size_t i = 0; i < quoted_.size(); ++i) {
    const Value* value = record.fields.find(quoted_[i]);
    if (!value || value->is_null()) {
      to[i].emplace<std::monostate>();
    } else if (auto number = value->number()) {
      to[i] = *number;
    } else if (value->type() == Type::string) {
      to[i] = std::string(value->as_text());
    } else {
      std::string json;
      append_json(json, *value);
      to[i] = std::move(json);
    }
  }
}

double Reading::read(const Wanted& wanted, const Value& value) {
  if (value.is_null()) return null_value;
  if (wanted.reading == Input::Reading::number) return value.number().value_or(null_value);
  if (wanted.reading == Input::Reading::same) {
    if (const bool* truth = std::get_if<bool>(&wanted.same_as))
      return value.type() == Type::boolean && value.as_boolean() == *truth;
    if (const double* number = std::get_if<double>(&wanted.same_as)) return value.number() == *number;
    return value.type() == Type::string && value.as_text() == std::get<std::string>(wanted.same_as);
  }
  if (auto number = value.number()) return *number;
  if (value.type() == Type::boolean) return value.as_boolean() ? 1 : 0;
  if (value.type() != Type::string) return null_value;
  // Far from the numbers that a field holds besides; 52 bits fit a double exactly.
  return -static_cast<double>((std::hash<std::string_view>{}(value.as_text()) >> 12U) + (1ULL << 52U));
}

}  // namespace millrace::alert
