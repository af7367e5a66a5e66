#include "runner/supervise/running_pipeline.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>

#include "runner/config/plugin.h"
#include "tests/support/temp_folder.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

std::atomic<int> refusals{0};  ///< how many more connects of a drain are refused
std::atomic<std::size_t> drained{0};

struct NoOptions {
  static void describe(config::Fields<NoOptions>&) {}
};

/// A record each time that it is asked.
struct Tap final : Source {
  using Config = NoOptions;
  Tap(Config, Context) {}
  Result<Batch> poll() override {
    Batch batch;
    batch.append();
    return batch;
  }
};

struct Drain final : Sink {
  struct Config {
    int mark = 0;
    static void describe(config::Fields<Config>& f) { f.field("mark", &Config::mark).doc("A number."); }
  };
  Drain(Config, Context) {}
  Result<void> connect() override {
    if (refusals.load() > 0 && refusals.fetch_sub(1) > 0) return invalid("not now");
    return {};
  }
  Result<void> write(const Batch& batch) override {
    drained += batch.size();
    return {};
  }
};

graph::Loader loader() {
  Plugin drain = config::define_plugin<Drain>("drain", "");
  drain.threading = Threading::own;
  return graph::Loader({config::define_plugin<Tap>("tap", ""), drain}, {});
}

graph::Pipeline parse(const graph::Loader& from, const std::string& yaml) {
  config::Problems problems{"test.yaml"};
  auto pipeline = from.parse(yaml, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::move(*pipeline);
}

template <class F>
bool wait_until(F&& done) {
  auto deadline = std::chrono::steady_clock::now() + 20s;
  while (!done()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

struct Fixture {
  SystemClock clock;
  std::unique_ptr<store::Store> store = std::move(store::Store::in_memory().value());
  std::shared_ptr<Services> services = std::make_shared<Services>();
  graph::Loader plugins = loader();

  Fixture() {
    services->clock = &clock;
    services->store = store.get();
  }
  graph::Pipeline version(const std::string& stages) { return parse(plugins, "name: p\nstages:\n" + stages); }
  std::unique_ptr<RunningPipeline> run(graph::Pipeline pipeline) {
    auto running = std::make_unique<RunningPipeline>(std::move(pipeline), services, [] {});
    running->start();
    return running;
  }
};

const std::string plain = "  - plugin: tap\n  - {id: kept, plugin: drain}\n";

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "going back to the same version makes the stage anew that had refused, on a thread that stood still") {
  refusals = 1;
  drained = 0;
  auto running = run(version(plain));
  REQUIRE(wait_until([&] { return running->failure().has_value(); }));
  CHECK(*running->failure() == "drain 'kept': not now");
  running->reload(version(plain));
  CHECK(wait_until([&] { return drained > 100; }));
  CHECK_FALSE(running->failure());
}

TEST_CASE_METHOD(Fixture, "going back from a version whose new stage refuses leaves the others at work") {
  refusals = 0;
  drained = 0;
  auto before = version(plain);
  auto running = run(before);
  REQUIRE(wait_until([&] { return drained > 100; }));
  for (int times = 0; times < 20; ++times) {
    refusals = 1;
    running->reload(version(plain + "  - {id: rival, plugin: drain, from: tap, mark: 1}\n"));
    REQUIRE(wait_until([&] { return running->failure().has_value(); }));
    running->reload(before);
    CHECK_FALSE(running->failure());
    std::size_t seen = drained;
    REQUIRE(wait_until([&] { return drained > seen + 100; }));
  }
}
