#include "runner/cli/test_case.h"

#include <algorithm>

#include "runner/cli/collected.h"
#include "runner/cli/expectation.h"
#include "runner/cli/expected_row.h"

namespace millrace::cli {
namespace {

/// Midnight, so that windows of up to a day begin with the test.
constexpr Time midnight = from_millis(1'704'067'200'000);

/// The place of a member, which may stand under a control's name.
config::Position place_of(const config::Node& node, std::string_view member) {
  if (member.empty()) return node.position;
  for (const config::Entry& entry : node.entries) {
    if (entry.key == member) return entry.value.position;
    if (entry.value.is_map())
      if (const config::Node* under = entry.value.find(member)) return under->position;
  }
  return node.position;
}

/// What a script names of the pipeline and is not there.
std::string stranger(const ScriptItem& item, const graph::Pipeline& pipeline) {
  auto missing = [&](const std::string& id, Role role, std::string_view what) -> std::string {
    std::vector<std::string> known;
    for (const graph::Stage& stage : pipeline.stages)
      if (!stage.plugin || stage.plugin->role == role) known.push_back(stage.id);
    if (std::find(known.begin(), known.end(), id) != known.end()) return {};
    return "there is no " + std::string(what) + " '" + id + "'" + config::did_you_mean(id, known);
  };
  if (auto* records = std::get_if<ScriptItem::Records>(&item.what); records && !records->source.empty())
    return missing(records->source, Role::source, "source");
  if (auto* outage = std::get_if<ScriptItem::Outage>(&item.what)) return missing(outage->sink, Role::sink, "sink");
  return {};
}

}  // namespace

PreparedTest prepare_test(const graph::Pipeline& pipeline, const graph::TestCase& test, const graph::Loader& loader,
                          config::Problems& problems) {
  PreparedTest prepared{&test, midnight, {}};
  auto reader = ScriptReader::of_test(loader, problems.file().parent_path(), midnight);
  const graph::Pipeline* reading = &pipeline;
  std::optional<Time> before;
  for (const config::Node& node : test.input) {
    auto item = reader.entry(node);
    if (!item) {
      problems.add(place_of(node, item.error().member), item.error().what);
      continue;
    }
    if (std::string wrong = stranger(*item, *reading); !wrong.empty()) problems.add(node.position, std::move(wrong));
    if (before && item->at && *item->at < *before)
      problems.add(node.position, "lies before the input above it: inputs stand in the order of time");
    if (item->at) before = item->at;
    if (auto* restart = std::get_if<ScriptItem::Restart>(&item->what)) before = restart->up;
    if (auto* reload = std::get_if<ScriptItem::Reload>(&item->what)) reading = reload->pipeline.get();
    prepared.inputs.push_back({std::move(*item), node.position, shown(node)});
  }
  prepared.start = *reader.start();
  check_expectations(*reading, test, problems);
  return prepared;
}

std::string run_test(const graph::Pipeline& pipeline, PreparedTest test) {
  using supervise::VirtualRun;
  Collected collected(test.start);
  VirtualRun run(pipeline, test.start,
                 [&](VirtualRun::Seen seen, const std::string& stage, const Batch& batch, Time now) {
                   collected.add(seen, stage, batch, now);
                 },
                 {});
  if (auto started = run.start(); !started) return "  " + started.error().what + "\n";
  for (PreparedTest::Input& input : test.inputs) {
    if (input.item.at) run.advance(*input.item.at);
    collected.input(run.now(), input.text);
    Result<void> applied = apply(std::move(input.item), run);
    if (applied) continue;
    config::Problem problem{pipeline.file.string(), input.position, applied.error().what};
    return "  " + problem.text() + "\n" + collected.timeline(pipeline, stages_of(test.test->expect));
  }
  run.finish();
  std::string different = differences(test.test->expect, collected, run.emitted());
  if (!different.empty()) different += collected.timeline(pipeline, stages_of(test.test->expect));
  return different;
}

}  // namespace millrace::cli
