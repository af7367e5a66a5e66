#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace millrace::vectors {

using Json = nlohmann::json;

/// What came out of a case, by section; each row as the format of the vectors describes it, times in milliseconds.
/// Sections: records, windows, derived, transitions, notifications.
using Rows = Json;

/// The pipeline file of a case: an `alert` stage with one rule for the windows, one for the records and one for silence, as
/// far as the case has them. A fence goes into a file of its own in `folder`. Throws Json::exception or std::runtime_error if
/// the case is not understood.
std::string pipeline_of(const Json& config, const std::filesystem::path& folder);

/// What the case calls the only level of a rule that compares texts or booleans, which the product calls by its severity; empty
/// for any other rule.
std::string severity_level(const Json& config);

/// The input of a case, line by line as `millrace replay` reads it.
std::string script_of(const Json& config, const Json& inputs);

/// Runs one case through the product: writes pipeline.yaml and input.jsonl into `folder`, reads the one as `millrace replay`
/// does, puts in the other, and collects what the stage says to whoever looks on. To see the same:
/// `millrace replay pipeline.yaml --input input.jsonl --scripted --trace`.
Rows run_case(const Json& config, const Json& inputs, const std::filesystem::path& folder);

}  // namespace millrace::vectors
