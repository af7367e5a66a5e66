#include "stage_bench.h"

using namespace millrace;
using namespace millrace::supervise;
using namespace millrace::supervise::bench;

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
