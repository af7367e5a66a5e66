#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugins/alert/compile.h"
#include "runner/stage/record.h"

namespace millrace::alert {

/// Takes from a record what rules need of it, as numbers.
class Reading {
 public:
  explicit Reading(const std::vector<Input>& inputs);

  /// Into `to`, one number for each input; null_value where the field is missing or not of use.
  void read(const Record& record, std::vector<double>& to) const;

 private:
  struct Wanted {
    std::string field;
    Input::Reading reading;
    std::variant<std::monostate, bool, double, std::string> same_as;
  };
  static double read(const Wanted& wanted, const Value& value);

  std::vector<Wanted> wanted_;
};

}  // namespace millrace::alert
