#include "stage_bench.h"

using namespace millrace;
using namespace millrace::supervise;
using namespace millrace::supervise::bench;

TEST_CASE_METHOD(Fixture, "a sink whose outside is away keeps its batch, connects again and writes it once") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  run(*runner);
  bool away = true;
  sink->on_write = [&](const Batch&) { return away ? Result<void>(unavailable("gone")) : Result<void>{}; };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  run(*runner);
  CHECK(runner->condition() == Condition::connecting);
  CHECK(runner->deadline() > clock.now());
  for (int i = 0; i < 5; ++i) run_next(*runner);
  CHECK(fate.told.empty());
  away = false;
  run_next(*runner);
  CHECK(sink->written == std::vector<std::string>{"a"});
  CHECK(fate.told == std::vector{Settlement::settled});
  CHECK(sink->connects >= 5);
  CHECK(logs.front().starts_with("p/out: gone; again in "));
}

TEST_CASE_METHOD(Fixture, "a sink that refuses a batch sends its records to the dead letters, which settle it") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  sink->on_write = [](const Batch&) { return rejected("too strange"); };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a", "b"})), false, fate.ack()});
  run(*runner);
  CHECK(fate.told == std::vector{Settlement::settled});
  CHECK(store->figures().dead_letters.value() == 2);
  CHECK(runner->host().figures().rejected.value() == 2);
  CHECK(runner->condition() == Condition::running);
}

TEST_CASE_METHOD(Fixture, "a sink that rejects some records and then finds its outside away rejects them once") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  bool away = true;
  sink->on_write = [&](const Batch& batch) {
    Context(hosts.back()).reject(batch.records[0], rejected("too strange"));
    return away ? Result<void>(unavailable("gone")) : Result<void>{};
  };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a", "b"})), false, fate.ack()});
  run(*runner);
  run_next(*runner);
  CHECK(fate.told.empty());
  away = false;
  run_next(*runner);
  CHECK(fate.told == std::vector{Settlement::settled});
  CHECK(store->figures().dead_letters.value() == 1);
  CHECK(runner->host().figures().rejected.value() == 1);
}

TEST_CASE_METHOD(Fixture, "a transform that refuses a batch sends its records to the dead letters, which settle it") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *out = link();
  runner->wire({in}, {{out, "out", false}});
  transform->on_process = [](Batch&) { return rejected("too strange"); };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a", "b"})), false, fate.ack()});
  run(*runner);
  CHECK(fate.told == std::vector{Settlement::settled});
  CHECK(store->figures().dead_letters.value() == 2);
  CHECK(runner->host().figures().rejected.value() == 2);
  CHECK(runner->condition() == Condition::running);
  CHECK(out->empty());
}

TEST_CASE_METHOD(Fixture, "a transform that is asked for patience gets the same batch again, before any other") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *out = link();
  runner->wire({in}, {{out, "out", false}});
  bool away = true;
  std::vector<std::string> order;
  transform->on_process = [&](Batch& batch) -> Result<Batch> {
    if (away) return overloaded("not now");
    order.emplace_back(batch.records[0].device);
    return std::move(batch);
  };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  in->send({std::make_shared<Batch>(batch_of({"b"})), false, {}});
  run(*runner);
  CHECK(fate.told.empty());
  CHECK_FALSE(in->empty());
  away = false;
  run_next(*runner);
  CHECK(order == std::vector<std::string>{"a", "b"});
  CHECK(runner->host().figures().records_in.value() == 2);
  out->receive()->ack.settle();
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "a source's batch without records, of which all were rejected, is settled") {
  auto [runner, source] = this->source();
  link::Link* out = link();
  runner->wire({}, {{out, "out", false}});
  Fate fate;
  Batch nothing;
  nothing.ack = fate.ack();
  source->script.push_back(std::move(nothing));
  run(*runner);
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "a stage that cannot be refuses to start, with its reason") {
  auto [runner, sink] = this->sink();
  runner->wire({link()}, {});
  sink->on_connect = [] { return Result<void>(invalid("no such thing")); };
  run(*runner);
  CHECK(runner->condition() == Condition::failed);
  CHECK(runner->failure() == "no such thing");
  CHECK_FALSE(runner->deadline());
}

TEST_CASE("a back-off grows, stays below its limit, and is forgotten only when what works has lasted") {
  Backoff backoff(7);
  Time now{};
  Duration longest{};
  for (int i = 0; i < 30; ++i) {
    Time next = backoff.failed(now, Backoff::Lapse::connection);
    CHECK(next > now);
    longest = std::max(longest, next - now);
    CHECK(next - now <= Backoff::longest);
    backoff.worked(next, false);
    CHECK(backoff.failures() == i + 1);
  }
  CHECK(longest > 10s);
  Time good = now + 1h;
  backoff.failed(good, Backoff::Lapse::connection);
  backoff.worked(good, false);
  backoff.worked(good + Backoff::lasting - 1us, false);
  CHECK(backoff.failures() == 31);
  backoff.worked(good + Backoff::lasting, false);
  CHECK(backoff.failures() == 0);
  backoff.failed(good, Backoff::Lapse::batch);
  backoff.worked(good, true);
  CHECK(backoff.failures() == 0);
}

TEST_CASE("what went through before a connection broke again does not make the next try quicker") {
  Backoff backoff(7);
  Time now{};
  for (int i = 1; i <= 20; ++i) {
    now = backoff.failed(now, Backoff::Lapse::connection);
    backoff.worked(now, true);
    CHECK(backoff.failures() == i);
  }
  backoff.failed(now, Backoff::Lapse::batch);
  backoff.worked(now, true);
  CHECK(backoff.failures() == 21);
  backoff.worked(now + Backoff::lasting, true);
  CHECK(backoff.failures() == 0);
}

TEST_CASE_METHOD(Fixture, "a source whose connection breaks after each batch is tried more and more rarely") {
  auto [runner, source] = this->source();
  link::Link* out = link({.records = 100});
  runner->wire({}, {{out, "out", false}});
  Duration longest{};
  for (int i = 0; i < 20; ++i) {
    source->script.push_back(batch_of({"a"}));
    source->script.push_back(unavailable("somebody else has my name"));
    run_next(*runner);
    REQUIRE(runner->condition() == Condition::connecting);
    longest = std::max(longest, *runner->deadline() - clock.now());
  }
  CHECK(longest > 10s);
  run_next(*runner);
  CHECK(std::count(logs.begin(), logs.end(), "p/in: works again") == 19);
}

TEST_CASE_METHOD(Fixture, "a sink whose queue is full is ticked, so that it can make room") {
  struct Slow final : Sink {
    int room = 0, ticks = 0;
    Result<void> write(const Batch&) override { return room > 0 ? Result<void>{} : Result<void>(overloaded("no room")); }
    std::optional<Time> next_tick() const override { return due; }
    Result<void> tick(Time now) override {
      ++room;
      ++ticks;
      due = now + 1h;
      return {};
    }
    std::optional<Time> due;
  };
  auto [runner, sink] = make<Slow, Sink>("phone");
  link::Link* in = link();
  runner->wire({in}, {});
  run(*runner);
  sink->room = 0;
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  run(*runner);
  CHECK(fate.told.empty());
  sink->due = clock.now() + 1us;
  int before = sink->ticks;
  run_next(*runner);
  CHECK(sink->ticks == before + 1);
  run_next(*runner);
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "a stage that waits wants no input, so that its thread can sleep") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  CHECK_FALSE(runner->wants_input());
  run(*runner);
  CHECK(runner->wants_input());
  sink->on_write = [](const Batch&) { return Result<void>(unavailable("gone")); };
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, {}});
  run(*runner);
  CHECK_FALSE(runner->wants_input());
  CHECK(*runner->deadline() > clock.now());
}

TEST_CASE_METHOD(Fixture, "a connect() that rejects refuses the start; one that finishes ends a source") {
  auto kind = GENERATE(ErrorKind::rejected, ErrorKind::finished);
  int connects = 0;
  auto fail = [&] { return ++connects < 100 ? Result<void>(Error{kind, "odd"}) : Result<void>{}; };
  SECTION("a sink") {
    auto [runner, sink] = this->sink();
    runner->wire({link()}, {});
    sink->on_connect = fail;
    run(*runner);
    CHECK(connects == 1);
    CHECK(runner->condition() == Condition::failed);
  }
  SECTION("a source") {
    auto [runner, source] = this->source();
    link::Link* out = link();
    runner->wire({}, {{out, "out", false}});
    source->on_connect = fail;
    run(*runner);
    CHECK(connects == 1);
    CHECK(runner->condition() == (kind == ErrorKind::finished ? Condition::done : Condition::failed));
    CHECK(out->empty() == (kind == ErrorKind::rejected));
  }
}

TEST_CASE_METHOD(Fixture, "the same trouble over and over is said once in ten seconds, with how often it came") {
  auto [runner, sink] = this->sink();
  StageHost& host = runner->host();
  for (int i = 0; i < 100; ++i) {
    host.log(LogLevel::error, "history: full");
    clock.set(clock.now() + 50ms);
  }
  CHECK(logs == std::vector<std::string>{"p/out: history: full"});
  clock.set(clock.now() + 10s);
  host.log(LogLevel::error, "history: full");
  host.log(LogLevel::error, "something else");
  host.log(LogLevel::info, "as often as it is said");
  host.log(LogLevel::info, "as often as it is said");
  CHECK(logs.size() == 5);
  CHECK(logs[1] == "p/out: history: full (99 times more since)");
}
