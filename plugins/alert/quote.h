#pragma once

#include <string>
#include <variant>

namespace millrace::alert {

/// What a text says of a field of a record: nothing where the record has none, a number, or a text.
using Quote = std::variant<std::monostate, double, std::string>;

}  // namespace millrace::alert
