#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <memory>

#include "runner/cli/commands.h"
#include "runner/cli/comparison.h"
#include "runner/cli/incidents.h"
#include "runner/cli/moment.h"
#include "runner/cli/offline_host.h"
#include "runner/cli/replay_input.h"
#include "runner/cli/script.h"
#include "runner/config/yaml.h"
#include "runner/graph/pipeline.h"
#include "runner/stage/json.h"
#include "runner/stage/rehearsal.h"

namespace millrace::cli {
namespace {

using supervise::VirtualRun;

struct ReplayOptions {
  std::string pipeline, other, input, from, to, data = "millrace-data", recording, format;
  bool trace = false;
  bool scripted = false;
};

/// For how long what the stages make of a record may hang on those before it.
Duration look_back(const graph::Pipeline& pipeline) {
  Duration longest{};
  for (const graph::Stage& stage : pipeline.stages) {
    AnyStage made = stage.make(Context(std::make_shared<OfflineHost>(pipeline.name, stage.id)));
    auto* transform = std::get_if<std::unique_ptr<Transform>>(&made);
    auto* rehearsal = transform ? dynamic_cast<Rehearsal*>(transform->get()) : nullptr;
    if (rehearsal) longest = std::max(longest, rehearsal->look_back());
  }
  return longest;
}

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

/// Lets pass what happens from a moment on: what went before only warms the stages up.
class TraceFrom final : public Trace {
 public:
  TraceFrom(Trace& to, Time from) : to_(to), from_(from) {}
  void of(const VirtualRun& run) { run_ = &run; }

  void happened(std::string_view stage, std::string_view kind, std::span<const Field> members) override {
    if (run_->now() >= from_) to_.happened(stage, kind, members);
  }

 private:
  Trace& to_;
  const Time from_;
  const VirtualRun* run_ = nullptr;
};

bool is_transform(const graph::Pipeline& pipeline, const std::string& stage) {
  for (const graph::Stage& s : pipeline.stages)
    if (s.id == stage) return s.plugin->role == Role::transform;
  return true;  // of a version that a reload has replaced
}

/// One line per emitted record: `{"stage","kind",...}` with the record as the hub's clients receive it.
void print_outputs(const std::string& stage, const Batch& batch) {
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

/// How much has gone through.
struct Replayed {
  std::uint64_t records = 0;
  std::optional<Time> from, to;
};

/// Puts the whole input through a pipeline. What happens before `from` is not told.
Result<Replayed> run_through(const graph::Pipeline& pipeline, ReplayInput& input, std::optional<Time> from,
                             const VirtualRun::Observer& observer, Trace* trace, VirtualRun::Passing passing) {
  const Time since = from.value_or(Time::min());
  std::optional<TraceFrom> traced;
  if (trace) traced.emplace(*trace, since);
  auto observe = [&](VirtualRun::Seen seen, const std::string& stage, const Batch& batch, Time now) {
    if (now >= since) observer(seen, stage, batch, now);
  };
  Replayed replayed;
  std::unique_ptr<VirtualRun> run;
  auto at_place = [&](const Error& error) { return Error{error.kind, input.place() + error.what}; };
  for (;;) {
    auto item = input.next();
    if (!item) return item.error();
    if (!*item) break;
    if (!run) {
      const Time start = (*item)->at.value_or(Time{});
      replayed.from = std::max(start, since);
      run = std::make_unique<VirtualRun>(pipeline, start, observe, terminal_log(), traced ? &*traced : nullptr, passing);
      if (traced) traced->of(*run);
      if (auto started = run->start(); !started) return at_place(started.error());
    }
    auto* records = std::get_if<ScriptItem::Records>(&(*item)->what);
    if (records && (*item)->at.value_or(since) >= since) replayed.records += records->batch.size();
    if (auto applied = apply(std::move(**item), *run); !applied) return at_place(applied.error());
  }
  if (run && input.ends() && passing == VirtualRun::Passing::deadlines) run->finish();
  if (run) replayed.to = run->now();
  return replayed;
}

/// A replay as the command line asks for it.
class Replay {
 public:
  Replay(const ReplayOptions& given, const Program& program)
      : given_(given), loader_(program.plugins, config::process_environment()) {}

  int run() {
    auto pipeline = load(given_.pipeline);
    if (!pipeline) return failed;
    if (auto chosen = choose_stretch(*pipeline); !chosen) {
      fmt::print(stderr, "{}\n", chosen.error().what);
      return wrong_use;
    }
    Result<int> status = given_.other.empty() ? print(*pipeline) : compare_with(*pipeline);
    if (status) return *status;
    fmt::print(stderr, "{}\n", status.error().what);
    return failed;
  }

 private:
  std::optional<graph::Pipeline> load(const std::string& file) const {
    config::Problems problems(file);
    auto pipeline = loader_.load(problems);
    for (const config::Problem& p : problems.in_order()) fmt::print(stderr, "{}\n", p.text());
    return pipeline;
  }

  /// The same for each version that is compared.
  Result<std::unique_ptr<ReplayInput>> input(const graph::Pipeline& into) {
    if (!given_.input.empty()) return file_input(given_.input, loader_);
    return recorded_input(stretch_, into);
  }

  Result<void> choose_stretch(const graph::Pipeline& pipeline) {
    stretch_.data = given_.data;
    stretch_.pipeline = given_.recording.empty() ? pipeline.name : given_.recording;
    stretch_.now = std::chrono::floor<Duration>(std::chrono::system_clock::now());
    stretch_.warm_up = look_back(pipeline);
    for (auto [text, to] : {std::pair{&given_.from, &stretch_.from}, {&given_.to, &stretch_.to}}) {
      if (text->empty()) continue;
      auto moment = moment_of(*text, stretch_.now);
      if (!moment) return moment.error();
      *to = *moment;
    }
    if (stretch_.from && stretch_.to && *stretch_.from >= *stretch_.to)
      return invalid(fmt::format("--to {} is not later than --from {}", shown(*stretch_.to), shown(*stretch_.from)));
    return {};
  }

  VirtualRun::Passing passing() const { return given_.scripted ? VirtualRun::Passing::inputs : VirtualRun::Passing::deadlines; }

  Result<int> print(const graph::Pipeline& pipeline) {
    auto from = input(pipeline);
    if (!from) return from.error();
    const bool for_people = given_.format == "text";
    ReplayedIncidents incidents;
    auto observe = [&](VirtualRun::Seen seen, const std::string& stage, const Batch& batch, Time) {
      if (seen != VirtualRun::Seen::emitted) return;
      if (for_people)
        incidents.see(stage, batch);
      else if (is_transform(pipeline, stage))
        print_outputs(stage, batch);
    };
    PrintedTrace trace;
    auto replayed = run_through(pipeline, **from, stretch_.from, observe, given_.trace ? &trace : nullptr, passing());
    if (!replayed) return replayed.error();
    if (for_people) fmt::print("{}{}", stretch_text(*replayed), text_of(incidents.list()));
    return done;
  }

  Result<int> compare_with(const graph::Pipeline& first) {
    auto second = load(given_.other);
    if (!second) return failed;
    // Both see the same.
    stretch_.warm_up = std::max(stretch_.warm_up, look_back(*second));
    std::vector<ReplayedIncident> lists[2];
    Replayed replayed;
    for (int i = 0; i < 2; ++i) {
      const graph::Pipeline& pipeline = i == 0 ? first : *second;
      auto from = input(pipeline);
      if (!from) return from.error();
      ReplayedIncidents incidents;
      auto observe = [&](VirtualRun::Seen seen, const std::string& stage, const Batch& batch, Time) {
        if (seen == VirtualRun::Seen::emitted) incidents.see(stage, batch);
      };
      auto ran = run_through(pipeline, **from, stretch_.from, observe, nullptr, passing());
      if (!ran) return ran.error();
      replayed = *ran;
      lists[i] = incidents.list();
    }
    IncidentDifference difference = compare(std::move(lists[0]), std::move(lists[1]));
    if (given_.format == "json")
      fmt::print("{}\n", json_of(difference, given_.pipeline, given_.other));
    else
      fmt::print("{}{}", stretch_text(replayed), text_of(difference, given_.pipeline, given_.other));
    return done;
  }

  static std::string stretch_text(const Replayed& replayed) {
    if (!replayed.from) return "nothing to replay\n";
    return fmt::format("{} records, {} to {}\n", replayed.records, shown(*replayed.from), shown(*replayed.to));
  }

  const ReplayOptions& given_;
  graph::Loader loader_;
  RecordedStretch stretch_;
};

}  // namespace

void add_replay(CLI::App& app, Program& program) {
  auto given = std::make_shared<ReplayOptions>();
  CLI::App* command = app.add_subcommand(
      "replay", "Run what was recorded through a pipeline in virtual time: nothing is sent and no history is touched.");
  command->add_option("PIPELINE", given->pipeline, "The pipeline file")->required();
  auto* input =
      command->add_option("--input", given->input, "A file of inputs, one JSON object a line, in place of a recording");
  command->add_option("--from", given->from, "Of the recording: from here, such as -7d or 2026-03-01T12:30:00Z")
      ->excludes(input);
  command->add_option("--to", given->to, "Of the recording: up to here, not included")->excludes(input);
  command->add_option("--data", given->data, "Data folder with the recording that `record:` in the pipeline keeps")
      ->check(is_named)
      ->capture_default_str();
  command->add_option("--recording", given->recording, "The pipeline whose recording it is; default: PIPELINE's name")
      ->excludes(input);
  auto* compare = command->add_option("--compare", given->other,
                                      "Another version of the pipeline: say which alerts the two raise differently");
  command
      ->add_option("--format", given->format,
                   "json: every output as a line, or the comparison as one object; text: alerts for people. Default json, with "
                   "--compare text")
      ->check(CLI::IsMember({"text", "json"}));
  command->add_flag("--trace", given->trace, "Also say what happens inside the stages")->excludes(compare);
  command->add_flag("--scripted", given->scripted,
                    "Time stands still between the lines, and only a \"flush\" is the end of the input");
  command->callback([given, &program] {
    if (given->format.empty()) given->format = given->other.empty() ? "json" : "text";
    program.status = Replay(*given, program).run();
  });
}

}  // namespace millrace::cli
