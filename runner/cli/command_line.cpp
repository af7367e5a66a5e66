#include <CLI/CLI.hpp>

#include "runner/cli/commands.h"

namespace millrace::cli {

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
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? done : wrong_use;
  }
  return program.status;
}

}  // namespace millrace::cli
