#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "runner/config/declaration.h"

namespace millrace::config {

/// The options as a Markdown table, nested ones with dotted names, in the order declared.
std::string markdown_table(const Declaration& declaration);

/// The same as aligned text for a terminal.
std::string text_table(const Declaration& declaration);

/// A JSON Schema (2020-12) of the object that the declaration reads. An option whose name ends in NN stands for many: any
/// number may take the place of NN.
nlohmann::ordered_json json_schema(const Declaration& declaration);

/// Machine-readable list of the options.
nlohmann::ordered_json json_options(const Declaration& declaration);

}  // namespace millrace::config
