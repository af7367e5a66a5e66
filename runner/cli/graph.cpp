#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "runner/cli/commands.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {
namespace {

std::string mermaid(const graph::Pipeline& pipeline) {
  std::string out = "flowchart LR\n";
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const graph::Stage& s = pipeline.stages[i];
    bool transform = s.plugin->role == Role::transform;
    out += fmt::format("  s{}{}\"{}<br/>{}\"{}\n", i, transform ? "[" : "([", s.id, s.plugin->name, transform ? "]" : "])");
  }
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i)
    for (std::size_t from : pipeline.stages[i].from) out += fmt::format("  s{} --> s{}\n", from, i);
  return out;
}

std::string dot(const graph::Pipeline& pipeline) {
  std::string out = fmt::format("digraph \"{}\" {{\n  rankdir=LR;\n", pipeline.name);
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const graph::Stage& s = pipeline.stages[i];
    out += fmt::format("  s{} [label=\"{}\\n{}\", shape={}];\n", i, s.id, s.plugin->name,
                       s.plugin->role == Role::transform ? "box" : "ellipse");
  }
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i)
    for (std::size_t from : pipeline.stages[i].from) out += fmt::format("  s{} -> s{};\n", from, i);
  return out + "}\n";
}

}  // namespace

void add_graph(CLI::App& app, Program& program) {
  struct Given {
    std::string path, format = "mermaid";
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("graph", "Draw a pipeline as Mermaid or DOT.");
  command->add_option("PATH", given->path, "The pipeline file")->required();
  command->add_option("--format", given->format, "mermaid or dot")
      ->check(CLI::IsMember({"mermaid", "dot"}))
      ->capture_default_str();
  command->callback([given, &program] {
    graph::Loader loader(program.plugins, config::process_environment());
    config::Problems problems(given->path);
    auto pipeline = loader.load(problems);
    for (const config::Problem& p : problems.in_order()) fmt::print(stderr, "{}\n", p.text());
    if (!pipeline) {
      program.status = failed;
      return;
    }
    fmt::print("{}", given->format == "dot" ? dot(*pipeline) : mermaid(*pipeline));
  });
}

}  // namespace millrace::cli
