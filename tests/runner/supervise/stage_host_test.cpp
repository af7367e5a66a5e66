#include "runner/supervise/stage_host.h"

#include <catch2/catch.hpp>

using namespace millrace;
using namespace millrace::supervise;

namespace {

struct Fixture {
  std::vector<std::string> logs;
  VirtualClock clock{from_millis(1'000'000)};
  std::unique_ptr<store::Store> store = std::move(store::Store::in_memory().value());
  std::shared_ptr<Services> services = std::make_shared<Services>();
  std::shared_ptr<StageFigures> figures = std::make_shared<StageFigures>();
  std::unique_ptr<StageHost> host;

  Fixture() {
    services->clock = &clock;
    services->store = store.get();
    services->log = [this](LogLevel, std::string_view text) { logs.emplace_back(text); };
    host = std::make_unique<StageHost>("p", "s", std::vector<std::string>{}, services, figures);
  }
  void reject(int times) {
    Batch batch;
    Record& record = batch.append();
    record.device = "a";
    for (int i = 0; i < times; ++i) host->reject(record, rejected("odd"));
  }
};

}  // namespace

TEST_CASE_METHOD(Fixture, "rejects are logged once a second, with how many were not logged since") {
  reject(5);
  host->write_dead_letters({});
  reject(3);
  host->write_dead_letters({});
  CHECK(logs == std::vector<std::string>{"p/s: rejected a record of 'a': odd"});
  clock.set(clock.now() + 1s);
  host->write_dead_letters({});
  REQUIRE(logs.size() == 2);
  CHECK(logs.back() == "p/s: rejected 7 more, which the dead letters have");
  reject(1);
  CHECK(logs.size() == 3);
  CHECK(figures->rejected.value() == 8);
}

TEST_CASE_METHOD(Fixture, "rejects that are taken back are not among those that were not logged") {
  reject(5);
  host->forget_dead_letters();
  reject(2);
  host->write_dead_letters({});
  host->tell_left_out();
  REQUIRE(logs.size() == 2);
  CHECK(logs.back() == "p/s: rejected 2 more, which the dead letters have");
}
