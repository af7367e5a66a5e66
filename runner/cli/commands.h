#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/http/files.h"
#include "runner/stage/context.h"
#include "runner/stage/plugin.h"
#include "runner/store/store.h"

namespace CLI {
class App;
}

namespace millrace::cli {

/// Exit statuses of every command.
enum Status { done = 0, failed = 1, wrong_use = 2 };

/// What main() puts together for the commands, and the status that the chosen one leaves.
struct Program {
  std::vector<Plugin> plugins;
  std::span<const http::StaticFile> page;                        ///< the web client
  std::function<void(store::CommitPoint)> on_commit_point = {};  ///< of `run`'s history; for tests
  int status = done;
};

/// What CLI11 asks of an option's text: the problem, or nothing. A file or folder needs a name.
std::string is_named(const std::string& text);

// Each adds one command to the command line; its work is done within CLI::App::parse. One file a command.
void add_run(CLI::App& app, Program& program);
void add_check(CLI::App& app, Program& program);
void add_test(CLI::App& app, Program& program);
void add_replay(CLI::App& app, Program& program);
void add_plugins(CLI::App& app, Program& program);
void add_schema(CLI::App& app, Program& program);
void add_graph(CLI::App& app, Program& program);
void add_alerts(CLI::App& app, Program& program);
void add_emulate(CLI::App& app, Program& program);
void add_token(CLI::App& app, Program& program);
void add_curve(CLI::App& app, Program& program);

/// Parses the command line and runs the command; returns the exit status.
int run_command_line(int argc, char** argv, Program program);

/// Human text: one line on standard error, coloured on a terminal unless NO_COLOR is set. Any thread.
using Log = std::function<void(LogLevel, std::string_view)>;
Log terminal_log();

}  // namespace millrace::cli
