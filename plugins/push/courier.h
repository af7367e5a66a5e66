#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "plugins/push/target.h"
#include "runner/stage/time.h"

namespace millrace::push {

/// What came back for a Request.
struct Reply {
  std::string id;
  long status = 0;          ///< 0: no answer
  std::string retry_after;  ///< the header, if there was one
  std::string error;        ///< why there was no answer, or the answer's first words
};

/// Carries requests over HTTP/1.1 and HTTP/2, many at a time, on a thread of its own, so that a slow receiver holds up nobody
/// else. Follows no redirects. Its owner bounds how many requests are under way; its end abandons them.
class Courier {
 public:
  struct Options {
    Duration timeout{10s};       ///< of a whole request
    std::function<void()> wake;  ///< called on the courier's thread after a reply has come; must not block
  };

  explicit Courier(Options options);
  ~Courier();
  Courier(const Courier&) = delete;
  Courier& operator=(const Courier&) = delete;

  void submit(Request request);

  /// The replies that have come since the last call.
  std::vector<Reply> take();

  /// Waits until take() has something, or the deadline has passed or a stop is requested.
  void wait(std::chrono::milliseconds deadline, const std::stop_token& stop);

 private:
  struct Transfer;
  class Multi;

  void run(const std::stop_token& stop);

  Options options_;
  std::unique_ptr<Multi> multi_;
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::vector<Request> submitted_;
  std::vector<Reply> replies_;
  std::jthread thread_;
};

}  // namespace millrace::push
