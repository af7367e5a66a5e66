#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runner/mqtt/connection.h"
#include "runner/mqtt/takeover.h"

namespace millrace::mqtt {

/// Keeps a subscription on a thread of its own, so that the stage that owns it never waits: Paho's calls may, for each other,
/// for name resolution, or for ever. Every attempt uses a new client, so that one that hangs is left behind, and subscribes
/// anew, because after a restart without persistence the broker has forgotten. The pace of attempts is the owner's: after an
/// error nothing happens until connect().
class Subscriber {
 public:
  struct Subscription {
    std::vector<std::string> topics;
    int qos = 1;
    bool clean_session = false;
  };

  struct Handlers {
    /// On the library's receive thread, with the library's one lock held: must not wait, nor call the library. The library
    /// acknowledges the message when this has returned, whatever became of it. False: there is no room for more, which is a
    /// hold().
    std::function<bool(const Message&)> message;

    /// A connection came or went, or take_error() has news. On the subscriber's thread.
    std::function<void()> changed;

    /// The stage's clock, for how long connections last. On the subscriber's thread.
    std::function<Time()> now;
  };

  Subscriber(Broker broker, Subscription subscription, Handlers handlers);

  /// Gives up the connection. The session stays at the broker unless it is a clean one.
  ~Subscriber() = default;
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  /// Begins an attempt, unless there is a connection. Its end shows in connected() or take_error(). Any thread, as all that
  /// follows.
  void connect();

  /// Disconnects, until release(): the owner has no room for more.
  void hold();
  void release();

  bool connected() const { return connected_.load(std::memory_order_relaxed); }

  /// Why there is no connection, once.
  std::optional<Error> take_error();

 private:
  void run(const std::stop_token& stop);
  void attempt(const std::stop_token& stop);
  void hang_up();

  const Broker broker_;
  const Subscription subscription_;
  const Handlers handlers_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool wanted_ = false;  ///< an attempt is to be made
  bool held_ = false;
  bool lost_ = false;
  std::optional<Error> error_;
  std::atomic<bool> connected_{false};

  std::unique_ptr<Connection> connection_;  // of the thread, as the next
  TakeoverSign takeover_;
  std::jthread thread_;  // last: ends before the rest
};

}  // namespace millrace::mqtt
