#include "runner/supervise/stage_runner.h"

#include <catch2/catch.hpp>
#include <deque>

#include "runner/store/history_reader.h"

using namespace millrace;
using namespace millrace::supervise;

namespace {

/// Stages whose behaviour a test gives as functions.
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

Batch batch_of(std::initializer_list<std::string_view> devices, std::string_view kind = kind::telemetry) {
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

}  // namespace

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

TEST_CASE_METHOD(Fixture, "a transform that wants no input is ticked, and takes the input in its order once it does") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *out = link();
  runner->wire({in}, {{out, "out", false}});
  run(*runner);
  transform->full = true;
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  in->send({std::make_shared<Batch>(batch_of({"b"})), false, {}});
  run(*runner);
  CHECK(out->empty());
  CHECK(fate.told.empty());
  CHECK_FALSE(runner->wants_input());
  transform->on_tick = [&, t = transform] {
    t->full = false;
    return Batch{};
  };
  hosts.back()->waker().wake();
  run(*runner);
  for (std::string_view device : {"a", "b"}) {
    auto envelope = out->receive();
    REQUIRE(envelope);
    CHECK(envelope->batch->records[0].device == device);
    envelope->ack.settle();
  }
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "an output inherits its input's Ack; an empty one settles it; a stage may take it") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *out = link();
  runner->wire({in}, {{out, "out", false}});
  Fate fate;
  auto send = [&] {
    in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
    run(*runner);
  };
  SECTION("inherited") {
    send();
    CHECK(fate.told.empty());
    out->receive()->ack.settle();
    CHECK(fate.told == std::vector{Settlement::settled});
  }
  SECTION("let go of unsettled, it is refused") {
    send();
    out->receive();
    CHECK(fate.told == std::vector{Settlement::refused});
  }
  SECTION("dropped by the stage") {
    transform->on_process = [](Batch&) { return Batch{}; };
    send();
    CHECK(fate.told == std::vector{Settlement::settled});
  }
  SECTION("taken") {
    Ack taken;
    transform->on_process = [&](Batch&) {
      taken = Context(hosts.back()).take_ack();
      return Batch{};
    };
    send();
    CHECK(fate.told.empty());
    taken.settle();
    CHECK(fate.told == std::vector{Settlement::settled});
  }
}

TEST_CASE_METHOD(Fixture, "several readers share a batch, and all must settle") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *one = link(), *two = link();
  runner->wire({in}, {{one, "one", false}, {two, "two", false}});
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  run(*runner);
  auto first = one->receive(), second = two->receive();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->shared);
  CHECK(second->shared);
  Batch mine = first->take();
  mine.records[0].fields.push(mine.arena(), "x", Value::null());
  CHECK(second->batch->records[0].fields.empty());
  first->ack.settle();
  CHECK(fate.told.empty());
  second->ack.settle();
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "transitions go to broadcasters, notifications to the push stage they are addressed to") {
  auto [runner, transform] = this->transform();
  link::Link *in = link(), *live = link(), *phone = link(), *pager = link();
  runner->wire({in}, {{live, "live", false}, {phone, "phone", true}, {pager, "pager", true}});
  transform->on_process = [](Batch&) {
    Batch out = batch_of({"t"}, kind::alert);
    for (std::string_view to : {"phone", "pager"}) {
      Record& r = out.append();
      r.device = to;
      r.kind = kind::notification;
      r.meta.push(out.arena(), "link", Value::string(to));
    }
    return out;
  };
  Fate fate;
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, fate.ack()});
  run(*runner);
  for (auto [reader, device] : {std::pair{live, "t"}, {phone, "phone"}, {pager, "pager"}}) {
    auto envelope = reader->receive();
    REQUIRE(envelope);
    REQUIRE(envelope->batch->size() == 1);
    CHECK(envelope->batch->records[0].device == device);
    envelope->ack.settle();
  }
  CHECK(fate.told == std::vector{Settlement::settled});
}

TEST_CASE_METHOD(Fixture, "a source stands still while a link below it is full") {
  auto [runner, source] = this->source();
  link::Link* out = link({.records = 2});
  runner->wire({}, {{out, "out", false}});
  for (int i = 0; i < 10; ++i) source->script.push_back(batch_of({"a"}));
  run(*runner);
  CHECK(source->script.size() == 7);
  int polls = source->polls;
  run(*runner);
  CHECK(source->polls == polls);
  CHECK_FALSE(runner->deadline());
  out->receive();
  run(*runner);
  CHECK(source->script.size() == 6);
}

TEST_CASE_METHOD(Fixture, "the end of input reaches the sink after everything before it") {
  auto [in, source] = this->source();
  auto [rule, transform] = this->transform();
  auto [out, sink] = this->sink();
  link::Link *upper = link(), *lower = link();
  in->wire({}, {{upper, "rule", false}});
  rule->wire({upper}, {{lower, "out", false}});
  out->wire({lower}, {});
  source->script.push_back(batch_of({"a"}));
  source->script.push_back(finished());
  transform->busy = true;
  for (int i = 0; i < 10; ++i)
    for (auto* r : {in.get(), rule.get(), out.get()}) run(*r);
  CHECK(source->stopped);
  CHECK(transform->ends == std::vector{End::input_over});
  CHECK(rule->condition() == Condition::ending);
  CHECK(out->condition() == Condition::running);
  transform->busy = false;
  hosts[1]->waker().wake();
  for (auto* r : {rule.get(), out.get()}) run(*r);
  CHECK(rule->condition() == Condition::done);
  CHECK(out->condition() == Condition::done);
  CHECK(sink->written == std::vector<std::string>{"a"});
}

TEST_CASE_METHOD(Fixture, "what has arrived is judged before a moment that has come") {
  auto [runner, transform] = this->transform();
  link::Link* in = link();
  runner->wire({in}, {});
  run(*runner);
  transform->ticks.clear();
  std::vector<std::string> order;
  transform->on_process = [&](Batch&) {
    order.push_back("record");
    return Batch{};
  };
  transform->on_tick = [&] {
    order.push_back("tick");
    return Batch{};
  };
  transform->wants = clock.now();
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, {}});
  in->send({std::make_shared<Batch>(batch_of({"b"})), false, {}});
  run(*runner);
  CHECK(order == std::vector<std::string>{"record", "record", "tick"});
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

TEST_CASE_METHOD(Fixture, "a stage replaced between two batches leaves the rest, and the one in hand, to its successor") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  run(*runner);
  sink->on_write = [](const Batch&) { return Result<void>(unavailable("gone")); };
  in->send({std::make_shared<Batch>(batch_of({"a"})), false, {}});
  in->send({std::make_shared<Batch>(batch_of({"b"})), false, {}});
  run(*runner);
  runner->end_here(End::shutdown);
  run(*runner);
  CHECK(runner->condition() == Condition::done);
  auto [next, next_sink] = this->sink();
  next->succeed(*runner);
  next->wire({in}, {});
  run(*next);
  CHECK(next_sink->written == std::vector<std::string>{"a", "b"});
}

TEST_CASE("a back-off grows, stays below its limit, and is forgotten only when what works has lasted") {
  Backoff backoff(7);
  Time now{};
  Duration longest{};
  for (int i = 0; i < 30; ++i) {
    Time next = backoff.failed(now);
    CHECK(next > now);
    longest = std::max(longest, next - now);
    CHECK(next - now <= Backoff::longest);
    backoff.worked(next, false);
    CHECK(backoff.failures() == i + 1);
  }
  CHECK(longest > 10s);
  Time good = now + 1h;
  backoff.failed(good);
  backoff.worked(good, false);
  backoff.worked(good + Backoff::lasting - 1us, false);
  CHECK(backoff.failures() == 31);
  backoff.worked(good + Backoff::lasting, false);
  CHECK(backoff.failures() == 0);
  backoff.failed(good);
  backoff.worked(good, true);
  CHECK(backoff.failures() == 0);
}

TEST_CASE_METHOD(Fixture, "a successor knows which inputs were over before it came") {
  auto [runner, transform] = this->transform();
  link::Link *one = link(), *two = link(), *out = link();
  runner->wire({one, two}, {{out, "out", false}});
  one->send({});
  run(*runner);
  runner->end_here(End::shutdown);
  run(*runner);
  auto [next, next_transform] = this->transform();
  next->succeed(*runner);
  next->wire({one, two}, {{out, "out", false}});
  run(*next);
  CHECK(next->condition() == Condition::running);
  two->send({});
  run(*next);
  CHECK(next->condition() == Condition::done);
  CHECK(next_transform->ends == std::vector{End::input_over});
  auto last = out->receive();
  REQUIRE(last);
  CHECK_FALSE(last->batch);
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

TEST_CASE_METHOD(Fixture, "what a source has left when it ends goes on, also into a full link, before the end") {
  auto [runner, source] = this->source();
  link::Link* out = link({.records = 1});
  runner->wire({}, {{out, "out", false}});
  source->script.push_back(batch_of({"a"}));
  source->script.push_back(batch_of({"b"}));
  source->left.push_back(batch_of({"c"}));
  source->left.push_back(batch_of({"d"}));
  run(*runner);
  CHECK(out->full());
  runner->end_input(End::shutdown);
  run(*runner);
  CHECK(source->stopped);
  CHECK(runner->condition() == Condition::done);
  std::string devices;
  for (auto envelope = out->receive(); envelope && envelope->batch; envelope = out->receive())
    devices += envelope->batch->records[0].device;
  CHECK(devices == "abcd");
}

TEST_CASE_METHOD(Fixture, "a sink without room waits without being tried, and ends as soon as nothing waits for it") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  sink->full = true;
  run(*runner);
  SECTION("nothing waits") {
    in->send({});
    run(*runner);
    CHECK(runner->condition() == Condition::done);
  }
  SECTION("a batch waits") {
    in->send({std::make_shared<Batch>(batch_of({"a"})), false, {}});
    in->send({});
    run(*runner);
    CHECK(sink->written.empty());
    CHECK(runner->condition() == Condition::running);
    CHECK_FALSE(runner->deadline());
    sink->full = false;
    hosts.back()->waker().wake();
    run(*runner);
    CHECK(sink->written == std::vector<std::string>{"a"});
    CHECK(runner->condition() == Condition::done);
  }
  SECTION("a successor takes what waits") {
    in->send({std::make_shared<Batch>(batch_of({"a"})), false, {}});
    run(*runner);
    runner->end_here(End::shutdown);
    run(*runner);
    CHECK(runner->condition() == Condition::done);
    auto [next, next_sink] = this->sink();
    next->succeed(*runner);
    next->wire({in}, {});
    run(*next);
    CHECK(next_sink->written == std::vector<std::string>{"a"});
  }
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

TEST_CASE_METHOD(Fixture, "a task is run before its stage is done, or refused") {
  auto [runner, sink] = this->sink();
  link::Link* in = link();
  runner->wire({in}, {});
  int ran = 0;
  CHECK(runner->post([&](AnyStage&) { ++ran; }));
  CHECK(ran == 0);
  run(*runner);
  CHECK(ran == 1);
  in->send({});
  runner->step(clock.now());
  CHECK(runner->post([&](AnyStage&) { ++ran; }));
  run(*runner);
  CHECK(runner->condition() == Condition::done);
  CHECK(ran == 2);
  CHECK_FALSE(runner->post([&](AnyStage&) { ++ran; }));
  run(*runner);
  CHECK(ran == 2);
}
