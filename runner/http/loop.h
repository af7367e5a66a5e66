#pragma once

#include <chrono>
#include <functional>
#include <memory>

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

/// The one thread of a listener. Everything that handles its connections runs here, one thing after the other, so that it needs
/// no locks. Nothing that runs here may wait.
class Loop {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Loop() = default;

  /// Runs `task` on the loop's thread, after all that was posted before. Any thread. A loop that has stopped destroys the task
  /// unrun.
  virtual void post(std::function<void()> task) = 0;

  /// Runs `task` once, no sooner than `delay` from now. From the loop's own thread.
  virtual Timer after(Clock::duration delay, std::function<void()> task) = 0;
};

}  // namespace millrace::http
