#include "runner/http/asio_loop.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

namespace millrace::http {

class AsioLoop::PendingTimer final : public Timer::Pending {
 public:
  PendingTimer(AsioLoop& loop, Clock::duration delay, std::function<void()> task)
      : loop_(loop), task_(std::make_shared<std::function<void()>>(std::move(task))), timer_(loop.context_, delay) {
    loop_.timers_.insert(this);
    // Cancelling cannot recall a handler that is already on its way, so the handler looks whether the timer still lives.
    timer_.async_wait([&loop, pending = std::weak_ptr(task_)](boost::system::error_code error) {
      auto turn = loop.turn();
      auto due = pending.lock();
      if (error || !due) return;
      auto run = std::move(*due);
      if (run) run();
    });
  }

  ~PendingTimer() override { loop_.timers_.erase(this); }

  std::function<void()> forget() { return std::exchange(*task_, nullptr); }

 private:
  AsioLoop& loop_;
  std::shared_ptr<std::function<void()>> task_;
  boost::asio::steady_timer timer_;
};

AsioLoop::AsioLoop() : scratch_(64U << 10U) {}

AsioLoop::~AsioLoop() { stop(); }

void AsioLoop::start() {
  thread_ = std::thread([this] {
    // OpenSSL writes without MSG_NOSIGNAL; a peer that has gone is an error to handle here, not a signal to die of.
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
    context_.run();
  });
}

void AsioLoop::stop() {
  std::vector<std::function<void()>> unrun;
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    unrun.swap(posted_);
  }
  context_.stop();
  if (thread_.joinable()) thread_.join();
  auto turn = this->turn();  // a task that runs on another's thread comes to its end
  // A task may hold what holds its own timer; and what goes with one task may take other timers along.
  std::vector<std::function<void()>> undue;
  for (PendingTimer* timer : timers_) undue.push_back(timer->forget());
}

void AsioLoop::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  posted_.push_back(std::move(task));
  if (posted_.size() == 1) boost::asio::post(context_, [this] { run_posted(); });
}

void AsioLoop::run(std::function<void()> task) {
  if (std::unique_lock turn(turn_, std::try_to_lock); turn) {
    auto idle = [this] {
      std::lock_guard lock(mutex_);
      return posted_.empty() && !stopped_;
    };
    if (idle()) {
      auto now = std::move(task);  // goes before the turn ends
      return now();
    }
  }
  post(std::move(task));
}

void AsioLoop::run_posted() {
  auto turn = this->turn();
  std::vector<std::function<void()>> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;
  }
}

Timer AsioLoop::after(Clock::duration delay, std::function<void()> task) {
  return Timer(std::make_unique<PendingTimer>(*this, delay, std::move(task)));
}

}  // namespace millrace::http
