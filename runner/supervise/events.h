#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "runner/stage/time.h"
#include "runner/supervise/watch.h"

namespace millrace::supervise {

/// What the supervisor's thread waits for: signals, wakes from other threads, files that change, a clock that is set.
class Events {
 public:
  struct News {
    bool stop = false;       ///< SIGTERM or SIGINT
    bool hangup = false;     ///< SIGHUP
    bool files = false;      ///< a watched file has changed, and then none for a moment
    bool clock_set = false;  ///< the system's clock, by somebody
  };

  /// The caller has blocked SIGTERM, SIGINT and SIGHUP in all threads.
  Events();
  ~Events();
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;

  /// Ends a wait(), the present or the next. Any thread.
  void wake() noexcept;

  /// As FileWatch::watch().
  bool watch(const std::vector<std::filesystem::path>& files, const std::vector<std::filesystem::path>& folders);

  /// Returns what has happened, at once if something has, else when it does, somebody wakes, or `longest` has passed.
  News wait(std::optional<Duration> longest);

 private:
  void take_signals(News& news);
  bool files_settled();
  void watch_clock();

  FileWatch watch_;
  int signals_ = -1;
  int wakes_ = -1;
  int steps_ = -1;  ///< readable when somebody has set the system's clock
};

}  // namespace millrace::supervise
