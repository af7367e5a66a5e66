#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/config/node.h"
#include "runner/config/reference.h"

namespace millrace::cli {
namespace {

std::string_view name_of(Role role) {
  switch (role) {
    case Role::source: return "source";
    case Role::transform: return "transform";
    case Role::sink: return "sink";
  }
  return "?";
}

std::string describe(const Plugin& plugin, const std::string& format) {
  if (format == "json") {
    nlohmann::ordered_json json = {{"name", plugin.name},
                                   {"role", name_of(plugin.role)},
                                   {"summary", plugin.summary},
                                   {"options", config::json_options(*plugin.options)}};
    return json.dump(2) + "\n";
  }
  if (format == "markdown") return config::markdown_table(*plugin.options);
  return fmt::format("{} ({})\n{}\n\n{}", plugin.name, name_of(plugin.role), plugin.summary,
                     config::text_table(*plugin.options));
}

std::string list(const std::vector<Plugin>& plugins, const std::string& format) {
  if (format == "json") {
    nlohmann::ordered_json all = nlohmann::json::array();
    for (const Plugin& p : plugins) all.push_back({{"name", p.name}, {"role", name_of(p.role)}, {"summary", p.summary}});
    return all.dump(2) + "\n";
  }
  std::string out = format == "markdown" ? "| plugin | role | what it is |\n|---|---|---|\n" : "";
  for (const Plugin& p : plugins)
    out += format == "markdown" ? fmt::format("| `{}` | {} | {} |\n", p.name, name_of(p.role), p.summary)
                                : fmt::format("{:<14} {:<10} {}\n", p.name, name_of(p.role), p.summary);
  return out;
}

}  // namespace

void add_plugins(CLI::App& app, Program& program) {
  struct Given {
    std::string name, format = "text";
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("plugins", "List the plugins, or one's options.");
  command->add_option("NAME", given->name, "Show this plugin's options");
  command->add_option("--format", given->format, "text, json or markdown")
      ->check(CLI::IsMember({"text", "json", "markdown"}))
      ->capture_default_str();
  command->callback([given, &program] {
    if (given->name.empty()) {
      fmt::print("{}", list(program.plugins, given->format));
      return;
    }
    auto found =
        std::find_if(program.plugins.begin(), program.plugins.end(), [&](const Plugin& p) { return p.name == given->name; });
    if (found != program.plugins.end()) {
      fmt::print("{}", describe(*found, given->format));
      return;
    }
    std::vector<std::string> known;
    for (const Plugin& p : program.plugins) known.push_back(p.name);
    fmt::print(stderr, "unknown plugin '{}'{}\n", given->name, config::did_you_mean(given->name, known));
    program.status = wrong_use;
  });
}

}  // namespace millrace::cli
