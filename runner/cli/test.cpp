#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <memory>

#include "runner/cli/commands.h"
#include "runner/cli/expectation.h"
#include "runner/cli/script.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {
namespace {

struct TestOptions {
  std::vector<std::string> paths;
  std::string format = "text";
};

struct Outcome {
  std::string file, name;
  std::string failure;  ///< empty if it passed
};

/// Midnight, so that windows of up to a day begin with the test.
constexpr Time start = from_millis(1'704'067'200'000);

Outcome run_case(const graph::Pipeline& pipeline, const graph::TestCase& test) {
  Outcome outcome{pipeline.file.string(), test.name, {}};
  Collected collected(start);
  supervise::VirtualRun run(
      pipeline, start, [&](const std::string& stage, const Batch& batch, Time now) { collected.add(stage, batch, now); }, {});
  auto at = [&](const config::Node& node, const std::string& what) {
    return config::Problem{pipeline.file.string(), node.position, what}.text();
  };
  if (auto started = run.start(); !started) {
    outcome.failure = started.error().what;
    return outcome;
  }
  for (const config::Node& node : test.input) {
    Result<ScriptItem> item = script_item(node, start);
    Result<void> applied = item ? apply(std::move(*item), run) : Result<void>(item.error());
    if (applied) continue;
    outcome.failure = at(node, applied.error().what);
    return outcome;
  }
  run.finish();
  outcome.failure = differences(test.expect, collected, run.emitted());
  return outcome;
}

std::string xml_text(std::string_view text) {
  std::string out;
  for (char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? '?' : c;
    }
  }
  return out;
}

void print_junit(const std::vector<Outcome>& outcomes, std::size_t failures) {
  fmt::print("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"millrace\" tests=\"{}\" failures=\"{}\">\n",
             outcomes.size(), failures);
  for (const Outcome& o : outcomes) {
    fmt::print("  <testcase classname=\"{}\" name=\"{}\"", xml_text(o.file), xml_text(o.name));
    if (o.failure.empty())
      fmt::print("/>\n");
    else
      fmt::print("><failure>{}</failure></testcase>\n", xml_text(o.failure));
  }
  fmt::print("</testsuite>\n");
}

int test_all(const TestOptions& given, const Program& program) {
  graph::Loader loader(program.plugins, config::process_environment());
  std::vector<Outcome> outcomes;
  std::size_t failures = 0;
  for (const std::string& path : given.paths) {
    for (const auto& file : graph::pipeline_files(path)) {
      config::Problems problems(file);
      auto pipeline = loader.load(problems);
      if (!pipeline) {
        Outcome broken{file.string(), "the file is good", {}};
        for (const config::Problem& p : problems.list()) broken.failure += p.text() + "\n";
        outcomes.push_back(std::move(broken));
        ++failures;
        continue;
      }
      for (const graph::TestCase& test : pipeline->tests) {
        outcomes.push_back(run_case(*pipeline, test));
        if (!outcomes.back().failure.empty()) ++failures;
      }
    }
  }
  if (given.format == "junit") print_junit(outcomes, failures);
  for (const Outcome& o : outcomes) {
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
