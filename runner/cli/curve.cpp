#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "runner/cli/commands.h"
#include "runner/link/socket.h"

namespace millrace::cli {

void add_curve(CLI::App& app, Program&) {
  CLI::App* command = app.add_subcommand("curve", "Make a pair of CURVE keys for one end of a link between processes.");
  command->callback([] {
    link::CurvePair pair = link::make_curve_pair();
    fmt::print("secret {}\npublic {}\n", pair.secret, pair.open);
  });
}

}  // namespace millrace::cli
