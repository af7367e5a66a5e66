#include <csignal>
#include <cstdlib>

#include "runner/cli/commands.h"
#include "web/files.h"

// Millrace, which SIGKILL ends at the KILL_AT-th moment at which its history stands between two steps of a commit: a
// transaction is begun, written, committed, answered. Counted from 1, from the start of the process.
int main(int argc, char** argv) {
  const char* text = std::getenv("KILL_AT");
  const unsigned long kill_at = text ? std::strtoul(text, nullptr, 10) : 0;
  millrace::cli::Program program{millrace::all_plugins(), millrace::web::files()};
  program.on_commit_point = [kill_at, seen = 0UL](millrace::store::CommitPoint) mutable {
    if (++seen == kill_at) std::raise(SIGKILL);
  };
  return millrace::cli::run_command_line(argc, argv, std::move(program));
}
