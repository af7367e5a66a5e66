#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>

#include "runner/cli/commands.h"
#include "runner/cli/junit.h"
#include "runner/cli/test_case.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {
namespace {

struct TestOptions {
  std::vector<std::string> paths;
  std::string format = "text";
};

/// Runs a file's tests; a file that is not good is a test that fails.
void test_file(const std::filesystem::path& file, const graph::Loader& loader, std::vector<TestOutcome>& outcomes) {
  config::Problems problems(file);
  auto pipeline = loader.load(problems);
  std::vector<PreparedTest> tests;
  if (pipeline)
    for (const graph::TestCase& test : pipeline->tests) tests.push_back(prepare_test(*pipeline, test, loader, problems));
  if (!problems.empty()) {
    TestOutcome broken{file.string(), "the file is good", {}, 0s};
    for (const config::Problem& p : problems.in_order()) broken.failure += p.text() + "\n";
    outcomes.push_back(std::move(broken));
    return;
  }
  for (PreparedTest& test : tests) {
    auto began = std::chrono::steady_clock::now();
    TestOutcome outcome{file.string(), test.test->name, {}, {}};
    outcome.failure = run_test(*pipeline, std::move(test));
    outcome.took = std::chrono::steady_clock::now() - began;
    outcomes.push_back(std::move(outcome));
  }
}

int test_all(const TestOptions& given, const Program& program) {
  graph::Loader loader(program.plugins, config::process_environment());
  std::vector<TestOutcome> outcomes;
  std::size_t failures = 0;
  for (const std::string& path : given.paths) {
    for (const auto& file : graph::pipeline_files(path)) {
      std::size_t before = outcomes.size();
      test_file(file, loader, outcomes);
      failures += static_cast<std::size_t>(std::count_if(outcomes.begin() + static_cast<std::ptrdiff_t>(before), outcomes.end(),
                                                         [](const TestOutcome& o) { return !o.failure.empty(); }));
    }
  }
  if (given.format == "junit") fmt::print("{}", junit(outcomes));
  for (const TestOutcome& o : outcomes) {
    if (given.format == "text") fmt::print("{} {}: {}\n", o.failure.empty() ? "ok  " : "FAIL", o.file, o.name);
    if (given.format == "text" && !o.failure.empty()) fmt::print("{}\n", o.failure);
  }
  if (given.format == "text") fmt::print("{} passed, {} failed\n", outcomes.size() - failures, failures);
  if (outcomes.empty()) fmt::print(stderr, "there are no tests in what was named\n");
  return failures == 0 && !outcomes.empty() ? done : failed;
}

}  // namespace

void add_test(CLI::App& app, Program& program) {
  auto given = std::make_shared<TestOptions>();
  CLI::App* command = app.add_subcommand("test", "Run the tests that stand in pipeline files, in virtual time.");
  command->add_option("PATH", given->paths, "Pipeline files, or folders of them")->required();
  command->add_option("--format", given->format, "text or junit")
      ->check(CLI::IsMember({"text", "junit"}))
      ->capture_default_str();
  command->callback([given, &program] { program.status = test_all(*given, program); });
}

}  // namespace millrace::cli
