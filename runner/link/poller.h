#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>

#include "runner/link/link.h"
#include "runner/stage/time.h"

namespace millrace::link {

/// What one thread waits on: its links' ends, a deadline, and wakes from other threads.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// Ends a wait(), the present or the next. Any thread; costs a system call only if the thread sleeps.
  void wake() noexcept;

  /// The ends that the thread owns. A sender's end is watched only while it has something to send, a receiver's only while
  /// `wanted` says so: what nobody takes would end every wait at once.
  void clear();
  void watch_receiver(const Link& link, std::function<bool()> wanted = {});
  void watch_sender(const Link& link);

  /// Returns when a link has moved, somebody woke the thread, or `longest` has passed.
  void wait(std::optional<Duration> longest);

 private:
  struct Items;

  std::unique_ptr<Items> items_;
  std::atomic<bool> pending_{false};
  std::atomic<bool> asleep_{false};
  int wakes_ = -1;
};

}  // namespace millrace::link
