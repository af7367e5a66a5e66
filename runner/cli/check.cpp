#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/cli/offline_host.h"
#include "runner/cli/test_case.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/explains.h"

namespace millrace::cli {
namespace {

struct CheckOptions {
  std::vector<std::string> paths;
  std::string format = "text";
  bool explain = false;
};

/// What a stage of a file says that its options come to.
struct Explanation {
  std::string file, stage;
  std::vector<std::string> lines;
};

/// Problems of one file; none if it is good. Every stage is constructed, as `run` would, and says what it has to say.
std::vector<config::Problem> check(const graph::Loader& loader, const std::filesystem::path& file,
                                   std::vector<Explanation>& explanations) {
  config::Problems problems(file);
  if (auto pipeline = loader.load(problems)) {
    for (const graph::Stage& stage : pipeline->stages) {
      AnyStage made = stage.make(Context(std::make_shared<OfflineHost>(pipeline->name, stage.id)));
      auto* transform = std::get_if<std::unique_ptr<Transform>>(&made);
      if (auto* explains = transform ? dynamic_cast<Explains*>(transform->get()) : nullptr)
        explanations.push_back({file.string(), stage.id, explains->explain()});
    }
    for (const graph::TestCase& test : pipeline->tests) prepare_test(*pipeline, test, loader, problems);
  }
  return problems.list();
}

void print_json(const std::vector<config::Problem>& problems) {
  nlohmann::ordered_json all = nlohmann::json::array();
  for (const config::Problem& p : problems)
    all.push_back({{"file", p.file}, {"line", p.position.line}, {"column", p.position.column}, {"what", p.what}});
  fmt::print("{}\n", all.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print(const std::vector<Explanation>& explanations) {
  for (const Explanation& e : explanations) {
    fmt::print("{}: {}\n", e.file, e.stage);
    for (const std::string& line : e.lines) fmt::print("  {}\n", line);
  }
}

int check_all(const CheckOptions& given, const Program& program) {
  graph::Loader loader(program.plugins, config::process_environment());
  std::vector<config::Problem> all;
  std::vector<Explanation> explanations;
  std::size_t files = 0;
  for (const std::string& path : given.paths) {
    for (const auto& file : graph::pipeline_files(path)) {
      ++files;
      auto problems = check(loader, file, explanations);
      all.insert(all.end(), problems.begin(), problems.end());
    }
  }
  if (files == 0) all.push_back({given.paths.front(), {}, "there is no pipeline file (*.yaml, *.yml) in it"});
  if (given.format == "json") {
    print_json(all);
  } else {
    for (const config::Problem& p : all) fmt::print(stderr, "{}\n", p.text());
    if (given.explain) print(explanations);
    if (all.empty()) fmt::print(stderr, "{} {} good\n", files, files == 1 ? "file is" : "files are");
  }
  return all.empty() ? done : failed;
}

}  // namespace

void add_check(CLI::App& app, Program& program) {
  auto given = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand("check", "Say everything that is wrong with pipeline files.");
  command->add_option("PATH", given->paths, "Pipeline files, or folders of them")->required();
  command->add_option("--format", given->format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->add_flag("--explain", given->explain, "Also print what each rule looks at and the boundaries that hold (text only)");
  command->callback([given, &program] { program.status = check_all(*given, program); });
}

}  // namespace millrace::cli
