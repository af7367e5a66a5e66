#include "runner/cli/commands.h"
#include "runner/link/remote.h"
#include "web/files.h"

int main(int argc, char** argv) {
  std::vector<millrace::Plugin> plugins = millrace::all_plugins();
  plugins.push_back(millrace::link::publisher_plugin());
  plugins.push_back(millrace::link::subscriber_plugin());
  return millrace::cli::run_command_line(argc, argv, {std::move(plugins), millrace::web::files()});
}
