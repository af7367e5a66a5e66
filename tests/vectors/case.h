#pragma once

#include <nlohmann/json.hpp>

namespace millrace::vectors {

using Json = nlohmann::json;

/// What came out of a case, by section; each row as the format of the vectors describes it, times in milliseconds.
/// Sections: records, windows, derived, transitions, notifications.
using Rows = Json;

/// Runs one case: maps its configuration to rules and applies its inputs in order. Throws Json::exception or
/// std::runtime_error if the case is not understood.
Rows run_case(const Json& config, const Json& inputs);

}  // namespace millrace::vectors
