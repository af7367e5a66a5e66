#include "runner/cli/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <memory>

#include "runner/api/alert_actions.h"
#include "runner/api/alert_rest.h"
#include "runner/cli/control.h"
#include "runner/cli/control_requests.h"
#include "runner/config/text_file.h"
#include "runner/config/values.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/http/address.h"
#include "runner/store/data_folder.h"
#include "runner/store/store.h"
#include "runner/supervise/listen_check.h"
#include "runner/supervise/supervisor.h"

namespace millrace::cli {
namespace {

struct RunOptions {
  std::vector<std::string> paths;
  std::string data = "millrace-data";
  std::string listen;
  std::string drain = "8s";
};

// The stages that keep alerts, as the supervisor has them while there is one.
class RunningStages final : public api::AlertStages {
 public:
  void of(supervise::Supervisor& supervisor) { supervisor_ = &supervisor; }

  std::vector<api::StageName> names() const override {
    std::vector<api::StageName> all;
    for (const supervise::StageView& view : supervisor_->views())
      if (view.keeps_alerts) all.push_back({view.pipeline, view.stage});
    return all;
  }
  bool post(const api::StageName& at, std::function<void(AnyStage&)> task) override {
    return supervisor_->post(at.pipeline, at.stage, std::move(task));
  }

 private:
  supervise::Supervisor* supervisor_ = nullptr;
};

bool any_file(const std::vector<std::string>& paths) {
  return std::any_of(paths.begin(), paths.end(), [](const std::string& path) {
    auto files = graph::pipeline_files(path);
    return std::any_of(files.begin(), files.end(), [](const auto& file) { return config::readable_file(file).has_value(); });
  });
}

std::string nothing_in(const std::string& path) {
  auto readable = config::readable_file(path);
  std::error_code error;
  if (std::filesystem::is_directory(path, error))
    return fmt::format("{}: there is no pipeline file (*.yaml, *.yml) in it", path);
  return fmt::format("{}: cannot read the file: {}", path, readable ? "" : readable.error().what);
}

supervise::Supervisor::Options options_of(const RunOptions& given, const Program& program) {
  supervise::Supervisor::Options options;
  for (const std::string& path : given.paths) options.paths.emplace_back(path);
  options.page = program.page;
  options.on_page = [](std::string_view address) { fmt::print(stderr, "millrace: page {}\n", address); };
  return options;
}

int run(const RunOptions& given, const Program& program) {
  Log log = terminal_log();
  Result<Duration> drain = config::parse_duration(given.drain);
  if (!drain) {
    fmt::print(stderr, "millrace run: --drain: expected {}, got '{}'\n", drain.error().what, given.drain);
    return wrong_use;
  }
  // Where nothing can run, no folder is made.
  if (!any_file(given.paths)) {
    for (const std::string& path : given.paths) log(LogLevel::error, nothing_in(path));
    return failed;
  }
  Result<store::DataFolder> folder = store::DataFolder::lock(given.data);
  if (!folder) {
    log(LogLevel::error, folder.error().what);
    return failed;
  }
  store::Store::Options store_options;
  store_options.log = log;
  store_options.on_commit_point = program.on_commit_point;
  auto store = store::Store::open(folder->path(), store_options);
  if (!store) {
    log(LogLevel::error, store.error().what);
    return failed;
  }
  std::optional<std::string> listen;
  if (!given.listen.empty()) listen = given.listen;
  graph::Loader loader(program.plugins, config::process_environment(), supervise::listen_check(listen));
  supervise::Supervisor::Options options = options_of(given, program);
  options.data_folder = folder->path();
  options.listen = listen;
  options.drain = *drain;
  options.log = log;
  SystemClock clock;
  RunningStages stages;
  api::AlertActions actions(stages, clock);
  api::AlertRest rest(actions, clock, {.data_folder = folder->path()});
  options.alert_desks = &actions;
  options.further_routes = [&rest](http::Routes& routes) { return rest.serve(routes); };
  supervise::Supervisor supervisor(loader, **store, std::move(options));
  stages.of(supervisor);
  auto control = ControlServer::serve(folder->control_socket(),
                                      [&](std::string_view request) { return answer_request(actions, request); });
  if (!control) {
    log(LogLevel::error, control.error().what);
    return failed;
  }
  const int status = supervisor.run();
  // Nobody may ask for stages that are about to end.
  control->reset();
  rest.close();
  return status;
}

}  // namespace

void prepare_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int run_text(std::string_view yaml, const Program& program) {
  prepare_signals();
  Log log = terminal_log();
  auto store = store::Store::in_memory();
  if (!store) {
    log(LogLevel::error, store.error().what);
    return failed;
  }
  graph::Loader loader(program.plugins, config::process_environment());
  supervise::Supervisor::Options options;
  options.text = yaml;
  options.log = log;
  supervise::Supervisor supervisor(loader, **store, std::move(options));
  return supervisor.run();
}

void add_run(CLI::App& app, Program& program) {
  auto given = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Run pipelines; reload them when their files change.");
  command->add_option("PATH", given->paths, "Pipeline files, or folders of them")->required();
  command->add_option("--data", given->data, "Folder for the history and the inboxes")->check(is_named)->capture_default_str();
  command->add_option("--listen", given->listen, "Address of the page, hub and metrics, in place of the pipelines' own")
      ->check([](const std::string& text) {
        auto address = http::parse_address(text);
        return address ? std::string{} : address.error().what;
      });
  command
      ->add_option("--drain", given->drain,
                   "How long a stop waits for what is on its way. Whatever it is, a reload waits 3s for the stages it replaces")
      ->capture_default_str();
  command->callback([given, &program] {
    prepare_signals();
    program.status = run(*given, program);
  });
}

}  // namespace millrace::cli
