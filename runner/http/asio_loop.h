#pragma once

// Internal to the room: the only headers that show Asio are this one and those that include it.

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_set>
#include <vector>

#include "runner/http/loop.h"

namespace millrace::http {

/// An io_context and the thread that waits for it. Posted tasks are kept in a queue of our own, so that one wake-up runs all
/// that has gathered and stopping destroys what has not run.
class AsioLoop final : public Loop {
 public:
  AsioLoop();
  ~AsioLoop() override;

  void start();

  /// Ends the thread; from any thread but the loop's. Tasks and timers that have not run are destroyed, later ones at once.
  void stop();

  void post(std::function<void()> task) override;
  void run(std::function<void()> task) override;
  Timer after(Clock::duration delay, std::function<void()> task) override;

  boost::asio::io_context& context() { return context_; }

  /// Held by whoever runs something on the loop: every handler of the context begins with it.
  [[nodiscard]] std::unique_lock<std::mutex> turn() { return std::unique_lock(turn_); }

  /// Room to read into, for whoever runs on the loop right now.
  std::span<char> scratch() { return scratch_; }

 private:
  class PendingTimer;
  void run_posted();

  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  std::vector<char> scratch_;
  std::mutex turn_;
  std::mutex mutex_;  ///< never waits for turn_
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
  std::unordered_set<PendingTimer*> timers_;
  std::thread thread_;
};

}  // namespace millrace::http
