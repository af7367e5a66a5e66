#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "runner/cli/commands.h"
#include "runner/config/node.h"

namespace millrace::cli {

namespace {

/// Where a command is missing because another word stands in its place: what is wrong with that word.
std::optional<std::string> unknown_word(const CLI::App& app, int argc, char** argv) {
  const CLI::App* command = &app;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    std::vector<std::string> names;
    const CLI::App* next = nullptr;
    for (const CLI::App* each : command->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(each->get_name());
      if (each->get_name() == word) next = each;
    }
    if (names.empty()) return std::nullopt;
    if (!next && word.starts_with('-')) return fmt::format("there is no option '{}' here", word);
    if (!next) return fmt::format("there is no command '{}'{}", word, config::did_you_mean(word, names));
    command = next;
  }
  return std::nullopt;
}

/// What was typed like an option and is none of its command.
std::optional<std::string> unknown_option(const CLI::App& app) {
  const CLI::App* command = &app;
  while (!command->get_subcommands().empty()) command = command->get_subcommands().front();
  std::vector<std::string> names;
  for (const CLI::Option* option : command->get_options())
    if (!option->get_positional()) names.push_back(option->get_name());
  for (const std::string& word : app.remaining(true)) {
    const std::string name = word.substr(0, word.find('='));
    if (name.starts_with("--")) return fmt::format("there is no option '{}' here{}", name, config::did_you_mean(name, names));
  }
  return std::nullopt;
}

}  // namespace

std::string is_named(const std::string& text) { return text.empty() ? "a name was expected, got nothing" : ""; }

int run_command_line(int argc, char** argv, Program program) {
  CLI::App app{"Millrace runs declarative pipelines for live device data.", "millrace"};
  app.require_subcommand(1);
  app.set_version_flag("--version", MILLRACE_VERSION);
  add_run(app, program);
  add_check(app, program);
  add_test(app, program);
  add_replay(app, program);
  add_plugins(app, program);
  add_schema(app, program);
  add_graph(app, program);
  add_alerts(app, program);
  add_emulate(app, program);
  add_token(app, program);
  add_curve(app, program);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    if (auto wrong = unknown_word(app, argc, argv)) {
      fmt::print(stderr, "{}\nRun with --help for more information.\n", *wrong);
      return wrong_use;
    }
    return app.exit(error) == 0 ? done : wrong_use;
  } catch (const CLI::ExtrasError& error) {
    if (auto wrong = unknown_option(app)) {
      fmt::print(stderr, "{}\nRun with --help for more information.\n", *wrong);
      return wrong_use;
    }
    return app.exit(error) == 0 ? done : wrong_use;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? done : wrong_use;
  }
  return program.status;
}

}  // namespace millrace::cli
