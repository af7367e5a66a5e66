#include "runner/supervise/supervisor.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>

#include "runner/config/plugin.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

std::atomic<bool> second_runs{false};

/// Writes a second pipeline when it is made, in the midst of the start; ends once that runs, or after a while.
struct Author final : Source {
  struct Config {
    config::Path second;
    static void describe(config::Fields<Config>& f) { f.field("second", &Config::second).doc("Where to write it."); }
  };
  Author(const Config& config, Context c) : context(std::move(c)) {
    if (config.second.path.empty())
      second_runs = true;
    else
      std::ofstream(config.second.path) << "name: second\nstages:\n  - plugin: author\n  - plugin: bin\n";
  }
  Result<Batch> poll() override {
    if (second_runs || std::chrono::steady_clock::now() > end) return finished();
    look_again = context.now() + 5ms;
    return Batch{};
  }
  std::optional<Time> next_tick() const override { return look_again; }

  Context context;
  Time look_again{};
  std::chrono::steady_clock::time_point end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
};

struct Bin final : Sink {
  struct Config {
    static void describe(config::Fields<Config>&) {}
  };
  Bin(Config, Context) {}
  Result<void> write(const Batch&) override { return {}; }
};

}  // namespace

TEST_CASE("a pipeline that comes into its folder while the first ones start is run") {
  test::TempFolder folder;
  folder.write("first.yaml", "name: first\nstages:\n  - {plugin: author, second: second.yaml}\n  - plugin: bin\n");
  graph::Loader loader({config::define_plugin<Author>("author", ""), config::define_plugin<Bin>("bin", "")}, {});
  auto store = store::Store::in_memory().value();
  test::TempFolder data;
  Supervisor::Options options;
  options.paths = {folder.path()};
  options.data_folder = data.path();
  CHECK(Supervisor(loader, *store, std::move(options)).run() == 0);
  CHECK(second_runs);
}
