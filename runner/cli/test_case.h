#pragma once

#include <string>
#include <vector>

#include "runner/cli/script.h"
#include "runner/graph/pipeline.h"

namespace millrace::cli {

/// A test of a pipeline file, read whole: its inputs understood, its expectations such as can be met.
struct PreparedTest {
  struct Input {
    ScriptItem item;
    config::Position position;
    std::string text;  ///< as the file has it, on one line
  };
  const graph::TestCase* test = nullptr;
  Time start{};
  std::vector<Input> inputs;
};

/// Reads a test; mistakes go to `problems`, each at its place. `pipeline` outlives what comes back.
PreparedTest prepare_test(const graph::Pipeline& pipeline, const graph::TestCase& test, const graph::Loader& loader,
                          config::Problems& problems);

/// Runs it in virtual time: what differs from what it expects, with the timeline, for people; empty if it passes.
std::string run_test(const graph::Pipeline& pipeline, PreparedTest test);

}  // namespace millrace::cli
