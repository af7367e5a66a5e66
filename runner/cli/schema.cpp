#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/config/reference.h"
#include "runner/graph/definition.h"

namespace millrace::cli {
namespace {

using Json = nlohmann::ordered_json;

/// A stage is what all stages have in common together with the options of one plugin.
Json stage_schema(const Plugin& plugin) {
  Json stage = config::json_schema(*config::declaration_of<graph::StageKeys>());
  Json options = config::json_schema(*plugin.options);
  for (auto& [name, schema] : options["properties"].items()) stage["properties"][name] = schema;
  if (options.contains("required"))
    for (const auto& name : options["required"]) stage["required"].push_back(name);
  stage["properties"]["plugin"] = {{"const", plugin.name}, {"description", plugin.summary}};
  return stage;
}

Json pipeline_schema(const std::vector<Plugin>& plugins) {
  Json schema = config::json_schema(*config::declaration_of<graph::PipelineKeys>());
  Json stages = Json::array();
  for (const Plugin& plugin : plugins) stages.push_back(stage_schema(plugin));
  schema["properties"]["stages"] = {{"type", "array"}, {"items", {{"oneOf", stages}}}, {"minItems", 1}};
  schema["properties"]["tests"] = {{"type", "array"},
                                   {"items", config::json_schema(*config::declaration_of<graph::TestCase>())}};
  Json out = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Millrace pipeline"}};
  out.update(schema);
  return out;
}

}  // namespace

void add_schema(CLI::App& app, Program& program) {
  CLI::App* command = app.add_subcommand("schema", "Print the JSON Schema of pipeline files, for editors.");
  command->callback([&program] { fmt::print("{}\n", pipeline_schema(program.plugins).dump(2)); });
}

}  // namespace millrace::cli
