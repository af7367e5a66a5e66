#include "runner/supervise/running_pipeline.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "runner/config/plugin.h"
#include "runner/stage/connects_beside.h"
#include "runner/store/inbox_lease.h"
#include "tests/support/temp_folder.h"
#include "tests/support/wait.h"

using namespace millrace;
using namespace millrace::supervise;
using test::wait_until;

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

std::atomic<int> counted{0};
std::atomic<int> connects{0};  ///< of meters

/// Counts batches from a given number on, in memory alone; refuses below zero.
struct Meter final : Transform, ConnectsBeside {
  struct Config {
    int from = 0;
    static void describe(config::Fields<Config>& f) { f.field("from_number", &Config::from).doc("A number."); }
  };
  Meter(Config config, Context) : count_(config.from) {}
  Result<void> connect() override {
    ++connects;
    return count_ < 0 ? Result<void>(invalid("below zero")) : Result<void>{};
  }
  Result<Batch> process(Batch&& batch) override {
    counted = ++count_;
    return std::move(batch);
  }

 private:
  int count_;
};

std::atomic<bool> away{false};  ///< the outside of a patient
std::atomic<int> waiting{0};    ///< patients that wait for it

/// Waits for its outside until it is told to stop.
struct Patient final : Sink {
  using Config = NoOptions;
  Patient(Config, Context c) : context(std::move(c)) {}
  Result<void> write(const Batch& batch) override {
    std::unique_lock lock(mutex);
    ++waiting;
    std::stop_token stop = context.stop_token();
    while (away && !stop.stop_requested()) changed.wait_for(lock, stop, 5ms, [] { return !away; });
    --waiting;
    if (away) return unavailable("was given up");
    drained += batch.size();
    return {};
  }
  Context context;
  std::mutex mutex;
  std::condition_variable_any changed;
};

/// Gives three batches of two records, and has one record more when it is stopped.
struct Bucket final : Source {
  using Config = NoOptions;
  Bucket(Config, Context) {}
  Result<Batch> poll() override { return given++ < 3 ? records(2) : Batch{}; }
  Result<Batch> remaining() override { return std::exchange(left, false) ? records(1) : Batch{}; }
  static Batch records(int count) {
    Batch batch;
    for (int i = 0; i < count; ++i) batch.append();
    return batch;
  }
  int given = 0;
  bool left = true;
};

/// Has nothing to say.
struct Dry final : Source {
  using Config = NoOptions;
  Dry(Config, Context) {}
  Result<Batch> poll() override { return Batch{}; }
};

/// Takes batches and never finishes with them.
struct Keeper final : Sink {
  using Config = NoOptions;
  Keeper(Config, Context c) : context(std::move(c)) {}
  Result<void> write(const Batch& batch) override {
    acks.push_back(context.take_ack());
    drained += batch.size();
    return {};
  }
  bool idle() const override { return acks.empty(); }
  Context context;
  std::vector<Ack> acks;
};

graph::Loader loader() {
  Plugin drain = config::define_plugin<Drain>("drain", "");
  Plugin patient = config::define_plugin<Patient>("patient", "");
  drain.threading = patient.threading = Threading::own;
  return graph::Loader({config::define_plugin<Tap>("tap", ""), config::define_plugin<Meter>("meter", ""),
                        config::define_plugin<Bucket>("bucket", ""), config::define_plugin<Dry>("dry", ""),
                        config::define_plugin<Keeper>("keeper", ""), drain, patient},
                       {});
}

graph::Pipeline parse(const graph::Loader& from, const std::string& yaml) {
  config::Problems problems{"test.yaml"};
  auto pipeline = from.parse(yaml, problems);
  for (const auto& problem : problems.list()) FAIL(problem.text());
  return std::move(*pipeline);
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

std::uint64_t emitted(const RunningPipeline& running, const std::string& stage) {
  for (const StageView& view : running.views())
    if (view.stage == stage) return view.figures->records_out.value();
  return 0;
}

const std::string plain = "  - plugin: tap\n  - {id: kept, plugin: drain}\n";

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "going back to the same version makes the stage anew that had refused, on a thread that stood still") {
  refusals = 1;
  drained = 0;
  auto running = run(version(plain));
  REQUIRE(wait_until([&] { return running->failure().has_value(); }));
  CHECK(*running->failure() == "test.yaml:4:5: drain 'kept': not now");
  REQUIRE(running->reload(version(plain)).has_value());
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
    REQUIRE(running->reload(version(plain + "  - {id: rival, plugin: drain, from: tap, mark: 1}\n")).has_value());
    REQUIRE(wait_until([&] { return running->failure().has_value(); }));
    REQUIRE(running->reload(before).has_value());
    CHECK_FALSE(running->failure());
    std::size_t seen = drained;
    REQUIRE(wait_until([&] { return drained > seen + 100; }));
  }
}

namespace {

std::string metered(int from, const std::string& more = "") {
  return "  - plugin: tap\n  - {id: meter, plugin: meter, from_number: " + std::to_string(from) +
         "}\n  - {id: kept, plugin: drain, from: meter}\n" + more;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "a version whose stage can be tried first and refuses changes nothing") {
  refusals = 0;
  auto running = run(version(metered(0)));
  REQUIRE(wait_until([&] { return counted > 100 && counted < 1'000'000 && running->settled(); }));
  Result<void> reloaded = running->reload(version(metered(-1)));
  REQUIRE(reloaded.has_error());
  CHECK(reloaded.error().what == "test.yaml:4:5: meter 'meter': below zero");
  CHECK_FALSE(running->failure());
  CHECK(running->settled());
  int seen = counted;
  CHECK(wait_until([&] { return counted > seen + 100; }));
  for (const StageView& view : running->views()) CHECK(view.figures->connected.value() == 1);
}

TEST_CASE_METHOD(Fixture, "going back finds a stage that was set aside with its state, until the new version is kept") {
  refusals = 0;
  counted = 0;
  auto running = run(version(metered(0)));
  REQUIRE(wait_until([&] { return counted > 100; }));
  int before = counted;
  refusals = 1;
  constexpr int far = 1'000'000'000;
  REQUIRE(running->reload(version(metered(far, "  - {id: rival, plugin: drain, from: tap, mark: 1}\n"))).has_value());
  REQUIRE(wait_until([&] { return running->failure().has_value(); }));
  int connected = connects;
  REQUIRE(running->reload(version(metered(0))).has_value());
  CHECK(connects == connected);
  running->keep();
  REQUIRE(wait_until([&] { return counted > before + 100 && counted < far; }));
  for (const StageView& view : running->views()) CHECK(view.figures->connected.value() == 1);

  REQUIRE(running->reload(version(metered(far))).has_value());
  REQUIRE(wait_until([&] { return counted > far && running->settled(); }));
  running->keep();
  connected = connects;
  REQUIRE(running->reload(version(metered(0))).has_value());
  CHECK(connects == connected + 1);
}

TEST_CASE_METHOD(Fixture, "a stage that stays and waits for its outside holds up no reload, and goes on with its batch") {
  away = true;
  drained = 0;
  auto queue_of = [](int records) {
    return "  - plugin: tap\n  - {id: kept, plugin: patient, queue: {records: " + std::to_string(records) + "}}\n";
  };
  auto running = run(version(queue_of(10)));
  for (int times = 1; times <= 3; ++times) {
    REQUIRE(wait_until([&] { return waiting == 1; }));
    REQUIRE(running->reload(version(queue_of(10 + times))).has_value());
  }
  away = false;
  CHECK(wait_until([&] { return drained > 100; }));
}

TEST_CASE_METHOD(Fixture, "what is under way when a pipeline ends, and no source keeps, is counted") {
  away = true;
  std::uint64_t lost = 0;
  services->on_lost = [&](const std::string& pipeline, std::uint64_t records) {
    CHECK(pipeline == "p");
    lost += records;
  };
  auto running = run(version("  - plugin: bucket\n  - {id: kept, plugin: patient}\n"));
  REQUIRE(wait_until([&] { return waiting == 1 && emitted(*running, "bucket") == 6; }));
  running.reset();
  CHECK(lost == 7);
  away = false;
}

TEST_CASE_METHOD(Fixture, "so is what a sink had taken and not finished with") {
  drained = 0;
  std::uint64_t lost = 0;
  services->on_lost = [&](const std::string&, std::uint64_t records) { lost += records; };
  auto running = run(version("  - plugin: bucket\n  - {id: kept, plugin: keeper}\n"));
  REQUIRE(wait_until([&] { return drained == 6; }));
  running.reset();
  CHECK(lost == 7);
}

TEST_CASE_METHOD(Fixture, "what waits behind a stage that a new version has not goes to its reader all the same") {
  away = true;
  drained = 0;
  auto running = run(version("  - plugin: bucket\n  - plugin: meter\n  - {id: kept, plugin: patient}\n"));
  REQUIRE(wait_until([&] { return waiting == 1 && emitted(*running, "meter") == 6; }));
  REQUIRE(running->reload(version("  - plugin: bucket\n  - {id: kept, plugin: patient}\n")).has_value());
  running->keep();
  SECTION("at once") {}
  SECTION("over a reload in which its reader stays, and one in which it does not") {
    const std::string more = "  - {id: beside, plugin: drain, from: bucket, mark: 1}\n";
    REQUIRE(running->reload(version("  - plugin: bucket\n  - {id: kept, plugin: patient}\n" + more)).has_value());
    REQUIRE(running->reload(version("  - plugin: bucket\n  - {id: kept, plugin: patient, queue: {records: 7}}\n")).has_value());
  }
  SECTION("when the stage comes again") {
    REQUIRE(running->reload(version("  - plugin: bucket\n  - plugin: meter\n  - {id: kept, plugin: patient}\n")).has_value());
  }
  away = false;
  CHECK(wait_until([&] { return drained == 6; }));
  running->drain(End::input_over);
  CHECK(wait_until([&] { return running->done(); }));
  CHECK(drained == 7);
}

TEST_CASE_METHOD(Fixture, "what waits for a stage that a new version has not is counted, the batch in its hand too") {
  away = true;
  const std::string without = "  - plugin: bucket\n  - {id: other, plugin: drain}\n";
  const std::string with = without + "  - {id: kept, plugin: patient, from: bucket}\n";
  auto running = run(version(with));
  REQUIRE(wait_until([&] { return waiting == 1 && emitted(*running, "bucket") == 6; }));
  REQUIRE(running->reload(version(without)).has_value());
  REQUIRE(running->reload(version(with)).has_value());
  for (const StageView& view : running->views())
    if (view.stage == "kept") CHECK(view.figures->dropped("stage_removed").value() == 6);
  away = false;
}

TEST_CASE_METHOD(Fixture, "what a spool holds reaches its reader whatever stands above it at the next start") {
  test::TempFolder data;
  store::Inboxes inboxes;
  services->data_folder = data.path();
  services->rooms[std::type_index(typeid(store::Inboxes))] = &inboxes;
  away = true;
  drained = 0;
  auto running = run(version("  - plugin: bucket\n  - {id: kept, plugin: patient, on_full: spool, queue: {records: 1}}\n"));
  REQUIRE(wait_until([&] { return waiting == 1 && emitted(*running, "bucket") == 6; }));
  running.reset();
  CHECK(drained == 0);
  away = false;
  SECTION("another stage") { running = run(version("  - plugin: dry\n  - {id: kept, plugin: patient, on_full: spool}\n")); }
  SECTION("a stage between, and another policy") {
    running = run(version("  - {id: bucket, plugin: dry}\n  - plugin: meter\n  - {id: kept, plugin: patient}\n"));
  }
  CHECK(wait_until([&] { return drained == 7; }));
  running->drain(End::shutdown);
  CHECK(wait_until([&] { return running->done(); }));
  running.reset();
  CHECK(drained == 7);
}
