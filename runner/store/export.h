#pragma once

#include <string>

#include "runner/store/history.h"

namespace millrace::store {

// Events for other programs, under the names of their columns (docs/reference/history.md), each with its line's end.

/// The columns' names as a line of RFC 4180.
std::string csv_header();

/// NULL is an empty field.
std::string csv_row(const Event& event);

/// NULL is left out; what is JSON in the history is JSON here.
std::string json_line(const Event& event);

}  // namespace millrace::store
