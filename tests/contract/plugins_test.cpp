#include <catch2/catch.hpp>
#include <filesystem>

#include "runner/graph/pipeline.h"
#include "tests/support/test_host.h"

using namespace millrace;

namespace {

const std::filesystem::path plugins_folder = std::filesystem::path(MILLRACE_SOURCE_DIR) / "plugins";

std::size_t entries(const std::filesystem::path& folder) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

/// What a process that does no input and output keeps: open files and threads.
struct Footprint {
  std::size_t files = entries("/proc/self/fd");
  std::size_t threads = entries("/proc/self/task");
};

}  // namespace

TEST_CASE("every plugin says what it is, and documents each of its options") {
  std::vector<Plugin> plugins = all_plugins();
  REQUIRE_FALSE(plugins.empty());
  for (const Plugin& plugin : plugins) {
    INFO(plugin.name);
    CHECK(plugin.summary.ends_with('.'));
    CHECK(plugin.options->undocumented() == std::vector<std::string>{});
    CHECK(std::filesystem::exists(plugins_folder / plugin.name / "README.md"));
  }
}

TEST_CASE("every plugin's sample is good and uses it, and its stages are made without input and output") {
  graph::Loader loader(all_plugins(), [](std::string_view) { return std::nullopt; });
  for (const Plugin& plugin : loader.plugins()) {
    INFO(plugin.name);
    config::Problems problems(plugins_folder / plugin.name / "sample.yaml");
    auto pipeline = loader.load(problems);
    for (const config::Problem& problem : problems.list()) FAIL_CHECK(problem.text());
    REQUIRE(pipeline);
    bool used = false;
    for (const graph::Stage& stage : pipeline->stages) {
      used |= stage.plugin == &plugin;
      auto host = test::TestHost::make(stage.id);
      Footprint before;
      {
        AnyStage made = stage.make(host->context());
        Footprint with;
        CHECK(with.files == before.files);
        CHECK(with.threads == before.threads);
      }
      CHECK(entries(host->folder.path()) == 0);
    }
    CHECK(used);
  }
}
