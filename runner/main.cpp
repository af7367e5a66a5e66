#include "runner/cli/commands.h"
#include "web/files.h"

int main(int argc, char** argv) {
  return millrace::cli::run_command_line(argc, argv, {millrace::all_plugins(), millrace::web::files()});
}
