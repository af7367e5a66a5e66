#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runner/graph/pipeline.h"

namespace millrace::supervise {

// What of two versions of a pipeline is the same, so that a reload leaves it alone.

/// The id of the thread that a stage lives on: its own, or the pipeline's.
std::string worker_of(const graph::Stage& stage);

/// Everything about a link but what is queued in it.
struct LinkShape {
  std::string sender, reader;
  bool one_thread = false;
  Overflow on_full = Overflow::block;
  std::size_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t spool_bytes = 0;
  graph::SpoolSync spool_sync = graph::SpoolSync::os;

  bool operator==(const LinkShape&) const = default;
};
LinkShape link_shape(const graph::Stage& sender, const graph::Stage& reader);

/// Everything about a stage but its wiring: where it is the same, the running stage simply stays.
struct StageShape {
  std::string plugin;
  std::string fingerprint;
  std::vector<std::string> notified;  ///< the stages below that tell people

  bool operator==(const StageShape&) const = default;
};
StageShape stage_shape(const graph::Pipeline& pipeline, std::size_t index);

/// The shapes of all stages, by id.
std::map<std::string, StageShape> stage_shapes(const graph::Pipeline& pipeline);

/// A stage on its thread, with its wiring.
struct PlacedStage {
  std::string id;
  StageShape shape;
  std::optional<graph::RecordKeys> recorded;  ///< of a source
  std::vector<LinkShape> links;               ///< those from above, then those to below
  std::vector<bool> tells_people;             ///< which of the readers below do

  bool operator==(const PlacedStage&) const = default;
};

/// For each thread, what lives on it: threads for which it is the same need not stand still.
using Layout = std::map<std::string, std::vector<PlacedStage>>;
Layout layout_of(const graph::Pipeline& pipeline);

}  // namespace millrace::supervise
