#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "runner/stage/error.h"

namespace millrace::link {

/// A ZeroMQ socket of a link between processes with the thread that alone uses it. `turn` is called on that thread after every
/// frame that came, every wake(), and at least each `pace`.
class Socket {
 public:
  enum class End { router, dealer };
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds pace{250};

  /// `on_frame(peer, frame)`; a dealer's peer is empty.
  struct Handlers {
    std::function<void(std::string_view peer, std::string_view frame)> on_frame;
    std::function<void()> turn;
  };

  /// Binds (router) or connects (dealer) and starts the thread.
  static Result<std::unique_ptr<Socket>> open(End end, const std::string& address, const std::string& identity,
                                              Handlers handlers);
  ~Socket();  ///< ends the thread

  /// From the socket's thread: false if it cannot be sent now.
  bool send(std::string_view peer, std::string_view frame);

  /// Makes the thread take a turn. Any thread.
  void wake() noexcept;

 private:
  Socket(void* socket, End end, Handlers handlers);
  void run(std::stop_token stop);
  bool receive();

  void* socket_;
  End end_;
  Handlers handlers_;
  int wakes_;
  std::jthread thread_;
};

/// Why an address may not be used between processes; nothing if it may. Beyond loopback the link would need keys.
std::optional<std::string> address_problem(const std::string& address);

}  // namespace millrace::link
