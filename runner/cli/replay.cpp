#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>
#include <memory>

#include "runner/cli/commands.h"
#include "runner/cli/script.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/json.h"

namespace millrace::cli {
namespace {

struct ReplayOptions {
  std::string pipeline, input;
  bool trace = false;
  bool scripted = false;
};

/// One line per thing that happened inside a stage: `{"stage","kind",...}` with the members that the stage names.
class PrintedTrace final : public Trace {
 public:
  void happened(std::string_view stage, std::string_view kind, std::span<const Field> members) override {
    std::string out = "{\"stage\":";
    append_json_string(out, stage);
    out += ",\"kind\":";
    append_json_string(out, kind);
    std::string body;
    append_json(body, members);
    out += (members.empty() ? "" : ",") + body.substr(1) + "\n";
    std::fwrite(out.data(), 1, out.size(), stdout);
  }
};

/// One line per emitted record: `{"stage","kind",...}` with the record as the hub's clients receive it.
void print_outputs(const graph::Pipeline& pipeline, const std::string& stage, const Batch& batch) {
  for (const graph::Stage& s : pipeline.stages)
    if (s.id == stage && s.plugin->role != Role::transform) return;
  std::string out;
  for (const Record& record : batch.records) {
    out += "{\"stage\":";
    append_json_string(out, stage);
    out += ",\"kind\":";
    append_json_string(out, record.kind);
    std::string body;
    append_json_record(body, record);
    out += "," + body.substr(1) + "\n";
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
}

int replay(const ReplayOptions& given, const Program& program) {
  graph::Loader loader(program.plugins, config::process_environment());
  config::Problems problems(given.pipeline);
  auto pipeline = loader.load(problems);
  for (const config::Problem& p : problems.list()) fmt::print(stderr, "{}\n", p.text());
  if (!pipeline) return failed;
  std::ifstream file(given.input, std::ios::binary);
  if (!file) {
    fmt::print(stderr, "cannot read the recording '{}'\n", given.input);
    return failed;
  }
  using Seen = supervise::VirtualRun::Seen;
  auto observe = [&](Seen seen, const std::string& stage, const Batch& batch, Time) {
    if (seen == Seen::emitted) print_outputs(*pipeline, stage, batch);
  };
  auto reader = ScriptReader::of_file(loader, std::filesystem::path(given.input).parent_path());
  using Passing = supervise::VirtualRun::Passing;
  const Passing passing = given.scripted ? Passing::inputs : Passing::deadlines;
  PrintedTrace trace;
  std::unique_ptr<supervise::VirtualRun> run;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    auto wrong = [&](const auto& error) {
      fmt::print(stderr, "{}:{}: {}\n", given.input, number, error.what);
      return failed;
    };
    auto item = reader.line(line);
    if (!item) return wrong(item.error());
    if (!run) {
      run = std::make_unique<supervise::VirtualRun>(*pipeline, item->at.value_or(Time{}), observe, terminal_log(),
                                                    given.trace ? &trace : nullptr, passing);
      if (auto started = run->start(); !started) return wrong(started.error());
    }
    if (auto applied = apply(std::move(*item), *run); !applied) return wrong(applied.error());
  }
  if (run && !given.scripted) run->finish();
  return done;
}

}  // namespace

void add_replay(CLI::App& app, Program& program) {
  auto given = std::make_shared<ReplayOptions>();
  CLI::App* command = app.add_subcommand("replay", "Run a recording through a pipeline in virtual time.");
  command->add_option("PIPELINE", given->pipeline, "The pipeline file")->required();
  command->add_option("--input", given->input, "The recording: one JSON object a line")->required();
  command->add_flag("--trace", given->trace, "Also say what happens inside the stages");
  command->add_flag("--scripted", given->scripted,
                    "Time stands still between the lines, and only a \"flush\" is the end of the input");
  command->callback([given, &program] { program.status = replay(*given, program); });
}

}  // namespace millrace::cli
