#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "plugins/signalr/connection.h"
#include "plugins/signalr/frame.h"
#include "plugins/signalr/frames.h"
#include "runner/http/loop.h"

namespace millrace::signalr {

/// Follows one message to each of its recipients. Belongs to the loop's thread.
///
/// A frame is let go of by a connection when the socket has taken it in full or, with stateful reconnect, when the client has
/// acknowledged it; so each recipient's queue holds a share of its own, and what becomes of that share tells.
class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  struct Outcome {
    std::size_t matched = 0;    ///< recipients
    std::size_t written = 0;    ///< whose socket has taken the message
    std::size_t confirmed = 0;  ///< who say themselves that they have it: those with stateful reconnect
    std::size_t dropped = 0;    ///< who went before, or had to go because their queue was full
  };
  using Done = std::function<void(const Outcome&)>;

  /// Calls `done` once: when nothing more can be learned, or at the deadline.
  static void send(const std::shared_ptr<http::Loop>& loop, const std::vector<std::shared_ptr<Connection>>& to,
                   CallFrames frames, std::chrono::milliseconds deadline, Done done);

 private:
  struct Leg {
    std::weak_ptr<Connection> connection;
    bool written = false, confirmed = false, dropped = false;
    bool confirms = false;
  };
  class Share;

  Delivery(std::shared_ptr<http::Loop> loop, Done done) : loop_(std::move(loop)), done_(std::move(done)) {}
  void released(std::size_t leg);
  void look();
  void finish();

  std::shared_ptr<http::Loop> loop_;
  Done done_;
  std::vector<Leg> legs_;
  http::Timer deadline_;
};

}  // namespace millrace::signalr
