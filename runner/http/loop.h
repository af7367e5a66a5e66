#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <utility>

namespace millrace::http {

/// A task that is to run later; destroying it, or moving another over it, cancels. Belongs to its loop's thread.
class Timer {
 public:
  class Pending {
   public:
    virtual ~Pending() = default;
  };

  Timer() = default;
  explicit Timer(std::unique_ptr<Pending> pending) : pending_(std::move(pending)) {}

 private:
  std::unique_ptr<Pending> pending_;
};

/// Where everything that handles a listener's connections runs, one thing after the other, so that it needs no locks: on a
/// thread of its own, or for a moment on the thread of who calls run(). What belongs to the loop's thread belongs to whichever
/// that is. Nothing that runs here may wait.
class Loop {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Loop() = default;

  /// Runs `task` on the loop's thread, after all that was posted before. Any thread. A loop that has stopped destroys the task
  /// unrun.
  virtual void post(std::function<void()> task) = 0;

  /// Runs `task` on the calling thread before it returns, if nothing runs or waits here; else as post(). For what is short: it
  /// saves the time it takes to wake a thread. From any thread on which nothing of the loop runs.
  virtual void run(std::function<void()> task) { post(std::move(task)); }

  /// Runs `task` once, no sooner than `delay` from now. From the loop's own thread.
  virtual Timer after(Clock::duration delay, std::function<void()> task) = 0;
};

}  // namespace millrace::http
