#include "stage_bench.h"

using namespace millrace;
using namespace millrace::supervise;
using namespace millrace::supervise::bench;

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

TEST_CASE_METHOD(Fixture, "a stage that is shut down keeps its state, though the last of its inputs was over by itself") {
  auto [runner, transform] = this->transform();
  link::Link *one = link(), *two = link();
  runner->wire({one, two}, {{link(), "out", false}});
  link::Envelope shut_down;
  shut_down.end = End::shutdown;
  one->send(std::move(shut_down));
  run(*runner);
  two->send({});
  run(*runner);
  CHECK(transform->ends == std::vector{End::shutdown});
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
