#include "runner/supervise/layout.h"

namespace millrace::supervise {

std::string worker_of(const graph::Stage& stage) { return stage.threading == Threading::own ? stage.id : "pipeline"; }

LinkShape link_shape(const graph::Stage& sender, const graph::Stage& reader) {
  LinkShape shape;
  shape.sender = sender.id;
  shape.reader = reader.id;
  shape.one_thread = worker_of(sender) == worker_of(reader);
  shape.on_full = reader.on_full;
  shape.records = reader.queue.records;
  shape.bytes = reader.queue.bytes.count;
  shape.spool_bytes = reader.spool.limit.count;
  shape.spool_sync = reader.spool.sync;
  return shape;
}

StageShape stage_shape(const graph::Pipeline& pipeline, std::size_t index) {
  const graph::Stage& stage = pipeline.stages[index];
  StageShape shape{stage.plugin->name, stage.fingerprint, {}};
  for (std::size_t reader : pipeline.readers_of(index))
    if (pipeline.stages[reader].plugin->tells_people) shape.notified.push_back(pipeline.stages[reader].id);
  return shape;
}

std::map<std::string, StageShape> stage_shapes(const graph::Pipeline& pipeline) {
  std::map<std::string, StageShape> shapes;
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) shapes[pipeline.stages[i].id] = stage_shape(pipeline, i);
  return shapes;
}

Layout layout_of(const graph::Pipeline& pipeline) {
  Layout threads;
  for (std::size_t i = 0; i < pipeline.stages.size(); ++i) {
    const graph::Stage& stage = pipeline.stages[i];
    PlacedStage placed{stage.id, stage_shape(pipeline, i), {}, {}, {}};
    if (stage.plugin->role == Role::source) placed.recorded = pipeline.record;
    for (std::size_t from : stage.from) placed.links.push_back(link_shape(pipeline.stages[from], stage));
    for (std::size_t reader : pipeline.readers_of(i)) {
      placed.links.push_back(link_shape(stage, pipeline.stages[reader]));
      placed.tells_people.push_back(pipeline.stages[reader].plugin->tells_people);
    }
    threads[worker_of(stage)].push_back(std::move(placed));
  }
  return threads;
}

}  // namespace millrace::supervise
