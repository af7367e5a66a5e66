#include "runner/http/asio_loop.h"

#include <pthread.h>

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>

namespace millrace::http {
namespace {

class PendingTimer final : public Timer::Pending {
 public:
  PendingTimer(boost::asio::io_context& context, Loop::Clock::duration delay, std::function<void()> task)
      : timer_(context, delay) {
    // Cancelling cannot recall a handler that is already on its way, so the handler looks whether the timer still lives.
    timer_.async_wait([alive = std::weak_ptr<int>(alive_), task = std::move(task)](boost::system::error_code error) {
      if (!error && !alive.expired()) task();
    });
  }

 private:
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  boost::asio::steady_timer timer_;
};

}  // namespace

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
}

void AsioLoop::post(std::function<void()> task) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  posted_.push_back(std::move(task));
  if (posted_.size() == 1) boost::asio::post(context_, [this] { run_posted(); });
}

void AsioLoop::run_posted() {
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
  return Timer(std::make_unique<PendingTimer>(context_, delay, std::move(task)));
}

}  // namespace millrace::http
