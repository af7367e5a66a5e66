#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "plugins/alert/compile.h"
#include "plugins/alert/quote.h"
#include "runner/stage/record.h"

namespace millrace::alert {

/// Takes from a record what rules need of it, as numbers.
class Reading {
 public:
  Reading(const std::vector<Input>& inputs, std::vector<std::string> quoted);

  /// Into `to`, one number for each of inputs(); null_value where the field is missing or not of use.
  void read(const Record& record, double* to) const;
  std::size_t inputs() const { return wanted_.size(); }

  /// What texts quote of it, one for each field quoted.
  void quote(const Record& record, Quote* to) const;

 private:
  struct Wanted {
    std::string field;
    Input::Reading reading;
    std::variant<std::monostate, bool, double, std::string> same_as;
  };
  static double read(const Wanted& wanted, const Value& value);

  std::vector<Wanted> wanted_;
  const std::vector<std::string> quoted_;
};

}  // namespace millrace::alert
