#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "runner/cli/commands.h"
#include "runner/cli/offline_host.h"
#include "runner/cli/test_case.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/explains.h"
#include "runner/stage/needs_files.h"
#include "runner/stage/serves_paths.h"
#include "runner/supervise/listen_check.h"

namespace millrace::cli {
namespace {

struct CheckOptions {
  std::vector<std::string> paths;
  std::string format = "text";
  bool explain = false;
  bool no_explain = false;
};

/// What a stage of a file says that its options come to.
struct Explanation {
  std::string file, stage;
  std::vector<std::string> lines;
};

/// What files have for themselves, by what it is: the first file that names it.
struct Claims {
  std::map<std::string, std::string> names;
  std::map<std::pair<std::string, std::string>, std::string> paths;  ///< by address and path
  std::vector<std::string> apart;                                    ///< which good files cannot run together, and why
};

void claim_paths(const graph::Pipeline& pipeline, const std::string& file, const ServesPaths& stage, Claims& claims) {
  for (const std::string& path : stage.served_paths()) {
    auto [claim, first] = claims.paths.try_emplace({pipeline.listen.address, path}, file);
    if (first || claim->second == file) continue;
    claims.apart.push_back(fmt::format(
        "{}: serves {} on {}, and so does {}; to run both in one process, give one of them another path or `listen`", file,
        path, pipeline.listen.address, claim->second));
    return;
  }
}

/// What a stage is besides, or null.
template <class Interface>
const Interface* as(const AnyStage& stage) {
  return std::visit([](const auto& one) { return dynamic_cast<const Interface*>(one.get()); }, stage);
}

void claim_name(const graph::Pipeline& pipeline, const std::string& file, Claims& claims, config::Problems& problems) {
  auto [claim, first] = claims.names.try_emplace(pipeline.name, file);
  if (first || claim->second == file) return;
  problems.add(pipeline.name_position,
               fmt::format("the name '{}' is taken by {}; give one of them another 'name'", pipeline.name, claim->second));
}

/// Problems of one file in its order; none if it is good. Every stage whose own options are well is constructed, as `run`
/// would, and says what it has to say.
std::vector<config::Problem> check(const graph::Loader& loader, const std::filesystem::path& file,
                                   std::vector<Explanation>& explanations, Claims& claims) {
  config::Problems problems(file);
  std::optional<graph::Pipeline> pipeline = loader.examine(problems);
  if (!pipeline) return problems.in_order();
  const bool good = problems.empty();
  const std::string claimant = file.lexically_normal().string();  // as `run` tells files apart
  if (good) claim_name(*pipeline, claimant, claims, problems);
  std::vector<std::pair<std::string, AnyStage>> serving;
  for (const graph::Stage& stage : pipeline->stages) {
    if (!stage.make) continue;
    AnyStage made = stage.make(Context(std::make_shared<OfflineHost>(pipeline->name, stage.id)));
    if (const auto* explains = as<Explains>(made); explains && good)
      explanations.push_back({file.string(), stage.id, explains->explain()});
    if (const auto* needs = as<NeedsFiles>(made))
      for (NeedsFiles::Problem& problem : needs->file_problems())
        problems.add(stage.node.along({problem.option, problem.within}).position, std::move(problem.what));
    const auto* serves = as<ServesPaths>(made);
    if (!serves) continue;
    if (good) claim_paths(*pipeline, claimant, *serves, claims);
    for (const auto& [id, other] : serving)
      if (auto clash = serves->clash_with(*as<ServesPaths>(other)))
        problems.add(stage.position, fmt::format("the stages '{}' and '{}': {}", id, stage.id, *clash));
    serving.emplace_back(stage.id, std::move(made));
  }
  for (const graph::TestCase& test : pipeline->tests) prepare_test(*pipeline, test, loader, problems);
  return problems.in_order();
}

using Json = nlohmann::ordered_json;

Json json_of(const std::vector<config::Problem>& problems) {
  Json all = Json::array();
  for (const config::Problem& p : problems)
    all.push_back({{"file", p.file}, {"line", p.position.line}, {"column", p.position.column}, {"what", p.what}});
  return all;
}

Json json_of(const std::vector<Explanation>& explanations) {
  Json all = Json::array();
  for (const Explanation& e : explanations) all.push_back({{"file", e.file}, {"stage", e.stage}, {"lines", e.lines}});
  return all;
}

void print(std::FILE* to, const std::vector<Explanation>& explanations) {
  for (const Explanation& e : explanations) {
    fmt::print(to, "{}: {}\n", e.file, e.stage);
    for (const std::string& line : e.lines) fmt::print(to, "  {}\n", line);
  }
}

/// JSON is the problems alone, as editors and scripts read them, unless the explanations are asked for too.
void print_json(const CheckOptions& given, const std::vector<config::Problem>& problems,
                const std::vector<Explanation>& explanations) {
  Json out = json_of(problems);
  if (given.explain) out = {{"problems", std::move(out)}, {"explanations", json_of(explanations)}};
  fmt::print("{}\n", out.dump(2, ' ', false, Json::error_handler_t::replace));
}

/// What the rules come to is for people's eyes, unless it is asked for: then it is the command's result.
void print_text(const CheckOptions& given, const std::vector<config::Problem>& problems,
                const std::vector<Explanation>& explanations, const Claims& claims, std::size_t files) {
  for (const config::Problem& p : problems) fmt::print(stderr, "{}\n", p.text());
  for (const std::string& text : claims.apart) fmt::print(stderr, "note: {}\n", text);
  if (!given.no_explain) print(given.explain ? stdout : stderr, explanations);
  if (problems.empty()) fmt::print(stderr, "{} {} good\n", files, files == 1 ? "file is" : "files are");
}

int check_all(const CheckOptions& given, const Program& program) {
  graph::Loader loader(program.plugins, config::process_environment(), supervise::listen_check());
  std::vector<config::Problem> all;
  std::vector<Explanation> explanations;
  Claims claims;
  std::size_t files = 0;
  for (const std::string& path : given.paths) {
    for (const auto& file : graph::pipeline_files(path)) {
      ++files;
      auto problems = check(loader, file, explanations, claims);
      all.insert(all.end(), problems.begin(), problems.end());
    }
  }
  if (files == 0) all.push_back({given.paths.front(), {}, "there is no pipeline file (*.yaml, *.yml) in it"});
  if (given.format == "json") {
    print_json(given, all, explanations);
  } else {
    print_text(given, all, explanations, claims, files);
  }
  return all.empty() ? done : failed;
}

}  // namespace

void add_check(CLI::App& app, Program& program) {
  auto given = std::make_shared<CheckOptions>();
  CLI::App* command = app.add_subcommand("check", "Say everything that is wrong with pipeline files.");
  command->add_option("PATH", given->paths, "Pipeline files, or folders of them")->required();
  command->add_option("--format", given->format, "text or json")->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  CLI::Option* explain = command->add_flag("--explain", given->explain,
                                           "Print what each rule looks at and the boundaries that hold as the result, with "
                                           "--format json too; otherwise they go to standard error, beside the JSON not");
  command->add_flag("--no-explain", given->no_explain, "Do not print them at all")->excludes(explain);
  command->callback([given, &program] { program.status = check_all(*given, program); });
}

}  // namespace millrace::cli
