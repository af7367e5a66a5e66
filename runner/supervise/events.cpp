#include "runner/supervise/events.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <iterator>

namespace millrace::supervise {
namespace {

/// An editor that saves touches a file several times; the last touch counts.
constexpr std::chrono::milliseconds settle_time{80};
constexpr int most_touches = 50;

}  // namespace

Events::Events() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  signals_ = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
  wakes_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  steps_ = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  watch_clock();
}

Events::~Events() {
  close(signals_);
  close(wakes_);
  if (steps_ >= 0) close(steps_);
}

void Events::wake() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(wakes_, &one, sizeof one);
}

bool Events::watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders) {
  return watch_.watch(files, folders);
}

/// Asks the kernel to say when the clock is set: a timer in the far future that this cancels (timerfd_create(2)).
void Events::watch_clock() {
  if (steps_ < 0) return;
  auto now = std::chrono::system_clock::now().time_since_epoch();
  itimerspec far{};
  far.it_value.tv_sec = std::chrono::duration_cast<std::chrono::seconds>(now + 24h * 3650).count();
  timerfd_settime(steps_, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, nullptr);
}

Events::News Events::wait(std::optional<Duration> longest) {
  News news;
  pollfd polled[] = {{signals_, POLLIN, 0}, {wakes_, POLLIN, 0}, {watch_.descriptor(), POLLIN, 0}, {steps_, POLLIN, 0}};
  if (longest) longest = std::max(*longest, Duration(0));  // a negative wait would be one without end
  int timeout = longest ? static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(*longest).count()) : -1;
  if (poll(polled, std::size(polled), timeout) <= 0) return news;
  if (polled[0].revents != 0) take_signals(news);
  if (polled[1].revents != 0) {
    std::uint64_t count = 0;
    [[maybe_unused]] ssize_t taken = ::read(wakes_, &count, sizeof count);
  }
  if (polled[3].revents != 0) {
    watch_clock();
    news.clock_set = true;
  }
  if (polled[2].revents != 0) news.files = files_settled();
  return news;
}

void Events::take_signals(News& news) {
  signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == sizeof info) (info.ssi_signo == SIGHUP ? news.hangup : news.stop) = true;
}

/// Waits as long as files go on changing, but not for ever, and never past a signal.
bool Events::files_settled() {
  if (!watch_.take()) return false;
  pollfd more[] = {{watch_.descriptor(), POLLIN, 0}, {signals_, POLLIN, 0}};
  for (int touches = 0; touches < most_touches && poll(more, 2, static_cast<int>(settle_time.count())) > 0; ++touches) {
    if (more[1].revents != 0) break;
    watch_.take();
  }
  return true;
}

}  // namespace millrace::supervise
