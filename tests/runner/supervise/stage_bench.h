#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/supervise/stage_runner.h"

/// A single StageRunner under test, with stages whose behaviour a test gives as functions.
namespace millrace::supervise::bench {

struct TestSource final : Source {
  std::deque<Result<Batch>> script;
  std::deque<Batch> left;
  std::function<Result<void>()> on_connect = [] { return Result<void>{}; };
  bool stopped = false;
  int polls = 0;
  Result<void> connect() override { return on_connect(); }
  Result<Batch> remaining() override {
    if (left.empty()) return Batch{};
    Batch next = std::move(left.front());
    left.pop_front();
    return next;
  }
  Result<Batch> poll() override {
    ++polls;
    if (script.empty()) return Batch{};
    Result<Batch> next = std::move(script.front());
    script.pop_front();
    return next;
  }
  void stop() override { stopped = true; }
};

struct TestTransform final : Transform {
  std::function<Result<Batch>(Batch&)> on_process = [](Batch& b) { return std::move(b); };
  std::function<Batch()> on_tick = [] { return Batch{}; };
  std::optional<Time> wants;
  std::vector<Time> ticks;
  std::vector<End> ends;
  bool busy = false, full = false;
  Result<Batch> process(Batch&& batch) override { return on_process(batch); }
  bool wants_input() const override { return !full; }
  std::optional<Time> next_tick() const override { return wants; }
  Result<Batch> tick(Time now) override {
    ticks.push_back(now);
    wants.reset();
    return on_tick();
  }
  Result<Batch> finish(End end) override {
    ends.push_back(end);
    return Batch{};
  }
  bool idle() const override { return !busy; }
};

struct TestSink final : Sink {
  std::function<Result<void>()> on_connect = [] { return Result<void>{}; };
  std::function<Result<void>(const Batch&)> on_write = [](const Batch&) { return Result<void>{}; };
  std::vector<std::string> written;
  bool full = false;
  int connects = 0;
  bool wants_input() const override { return !full; }
  Result<void> connect() override {
    ++connects;
    return on_connect();
  }
  Result<void> write(const Batch& batch) override {
    Result<void> result = on_write(batch);
    if (result)
      for (const Record& r : batch.records) written.emplace_back(r.device);
    return result;
  }
};

inline Batch batch_of(std::initializer_list<std::string_view> devices, std::string_view kind = kind::telemetry) {
  Batch batch;
  for (std::string_view device : devices) {
    Record& r = batch.append();
    r.device = batch.arena().copy(device);
    r.kind = kind;
  }
  return batch;
}

struct Fixture {
  VirtualClock clock{from_millis(1'000'000)};
  std::unique_ptr<store::Store> store = std::move(store::Store::in_memory().value());
  std::shared_ptr<Services> services = std::make_shared<Services>();
  std::vector<std::unique_ptr<link::Link>> links;
  std::vector<std::shared_ptr<StageHost>> hosts;
  std::vector<std::string> logs;

  Fixture() {
    services->clock = &clock;
    services->store = store.get();
    services->log = [this](LogLevel, std::string_view text) { logs.emplace_back(text); };
  }
  link::Link* link(link::Limits limits = {}, Overflow overflow = Overflow::block) {
    links.push_back(std::make_unique<link::Link>(link::Link::Ends::one_thread, limits, overflow));
    return links.back().get();
  }
  template <class S, class Base>
  std::pair<std::unique_ptr<StageRunner>, S*> make(const std::string& id) {
    auto stage = std::make_unique<S>();
    S* raw = stage.get();
    hosts.push_back(
        std::make_shared<StageHost>("p", id, std::vector<std::string>{}, services, std::make_shared<StageFigures>()));
    return {std::make_unique<StageRunner>(id, AnyStage(std::unique_ptr<Base>(std::move(stage))), hosts.back(), 1), raw};
  }
  auto source() { return make<TestSource, Source>("in"); }
  auto transform() { return make<TestTransform, Transform>("rule"); }
  auto sink(const std::string& id = "out") { return make<TestSink, Sink>(id); }

  void run(StageRunner& runner) {
    while (runner.step(clock.now())) {
    }
  }
  /// Lets the runner's next deadline come, and runs.
  void run_next(StageRunner& runner) {
    REQUIRE(runner.deadline());
    clock.set(std::max(clock.now(), *runner.deadline()));
    run(runner);
  }
};

struct Fate {
  std::vector<Settlement> told;
  Ack ack() {
    return Ack([this](Settlement s) { told.push_back(s); });
  }
};

}  // namespace millrace::supervise::bench
