#include <catch2/catch.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "runner/http/asio_loop.h"

using namespace millrace::http;

namespace {

/// Keeps a loop at one task until it is let go on.
class Busy {
 public:
  explicit Busy(Loop& loop) {
    loop.post([begun = std::make_shared<std::promise<void>>(std::move(begun_)), gate = gate_.get_future().share()] {
      begun->set_value();
      gate.wait();
    });
    at_task_.wait();
  }
  void let_go() { gate_.set_value(); }

 private:
  std::promise<void> begun_, gate_;
  std::future<void> at_task_ = begun_.get_future();
};

/// Waits until all that was posted before has run.
void settle(Loop& loop) {
  auto done = std::make_shared<std::promise<void>>();  // still in use when the wait ends
  loop.post([done] { done->set_value(); });
  done->get_future().wait();
}

}  // namespace

TEST_CASE("a task for an idle loop runs on the thread that brings it, before it goes on") {
  AsioLoop loop;
  loop.start();
  settle(loop);
  std::thread::id ran_on;
  // The loop may still be on its way out of what it has run.
  for (int i = 0; i < 1000 && ran_on != std::this_thread::get_id(); ++i) {
    loop.run([&ran_on] { ran_on = std::this_thread::get_id(); });
    settle(loop);
  }
  CHECK(ran_on == std::this_thread::get_id());
}

TEST_CASE("a task for a busy loop runs behind what waits there, on the loop's own thread") {
  AsioLoop loop;
  loop.start();
  std::string order;
  std::thread::id ran_on;
  Busy busy(loop);
  loop.post([&order] { order += 'a'; });
  loop.run([&order, &ran_on] {
    order += 'b';
    ran_on = std::this_thread::get_id();
  });
  CHECK(order.empty());
  busy.let_go();
  settle(loop);
  CHECK(order == "ab");
  CHECK(ran_on != std::this_thread::get_id());
  CHECK(ran_on != std::thread::id{});
}

TEST_CASE("a task that finds others waiting does not overtake them") {
  AsioLoop loop;  // not started: what is posted waits
  std::string order;
  loop.post([&order] { order += 'a'; });
  loop.run([&order] { order += 'b'; });
  CHECK(order.empty());
  loop.start();
  settle(loop);
  CHECK(order == "ab");
}

TEST_CASE("a loop that has stopped destroys a task unrun") {
  AsioLoop loop;
  loop.start();
  loop.stop();
  auto held = std::make_shared<int>();
  bool ran = false;
  loop.run([held, &ran] { ran = true; });
  CHECK_FALSE(ran);
  CHECK(held.use_count() == 1);
}

TEST_CASE("tasks from many threads run one at a time, and timers between them") {
  AsioLoop loop;
  loop.start();
  constexpr int threads = 4, each = 2000;
  int count = 0, ticks = 0;  // plain: whatever runs here has the loop to itself
  Timer timer;
  std::function<void()> tick = [&] {
    ++count, ++ticks;
    timer = loop.after(std::chrono::microseconds(50), tick);
  };
  loop.post(tick);
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i)
    all.emplace_back([&] {
      for (int n = 0; n < each; ++n) n % 3 == 0 ? loop.post([&count] { ++count; }) : loop.run([&count] { ++count; });
    });
  for (auto& thread : all) thread.join();
  settle(loop);
  loop.stop();
  CHECK(count - ticks == threads * each);
}
