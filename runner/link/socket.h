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

/// ZeroMQ's CURVE keys of one end of a link, 40 characters of Z85 each (rfc.zeromq.org/spec/32); none if `secret` is empty.
struct Curve {
  std::string secret;  ///< this end's own
  std::string peer;    ///< the public key of the other end: nobody else is let in, and nobody else is believed
};

/// A ZeroMQ socket of a link between processes with the thread that alone uses it. `turn` is called on that thread after every
/// frame that came, every wake(), at least each `pace`, and a last time when the thread ends.
class Socket {
 public:
  enum class End { router, dealer };
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds pace{250};

  /// ZeroMQ hangs up on a peer that sends a larger one.
  static constexpr std::size_t largest_frame = 64U << 20U;

  /// `on_frame(peer, frame)`; a dealer's peer is empty.
  struct Handlers {
    std::function<void(std::string_view peer, std::string_view frame)> on_frame;
    std::function<void()> turn;
    /// The other end did not pass as the one that it should be, or did not let us pass.
    std::function<void(std::string_view why)> refused;
  };

  /// Binds (router) or connects (dealer) and starts the thread.
  static Result<std::unique_ptr<Socket>> open(End end, const std::string& address, const std::string& identity,
                                              const Curve& curve, Handlers handlers);
  ~Socket();  ///< ends the thread; waits up to a second until what was sent is on its way

  /// From the socket's thread: false if it cannot be sent now, as nobody is connected.
  bool send(std::string_view peer, std::string_view frame);

  /// Makes the thread take a turn. Any thread.
  void wake() noexcept;

 private:
  Socket(End end, Handlers handlers);
  Result<void> open(const std::string& address, const std::string& identity, const Curve& curve);
  bool secure(const Curve& curve);
  void run(std::stop_token stop);
  bool receive();
  void authenticate();
  void observe();

  End end_;
  void* context_;  ///< its own, with a thread for input and output
  void* socket_ = nullptr;
  void* knocks_ = nullptr;  ///< a router's with keys: where ZeroMQ asks whether a peer may come in
  void* events_ = nullptr;  ///< with keys: handshakes that failed
  std::string peer_key_;    ///< decoded
  Handlers handlers_;
  int wakes_;
  std::jthread thread_;
};

/// Why an address may not be used between processes; nothing if it may. Beyond loopback a link needs keys.
std::optional<std::string> address_problem(const std::string& address, bool has_keys);

/// Why a text is no CURVE key; nothing if it is one.
std::optional<std::string> key_problem(std::string_view key);

struct CurvePair {
  std::string secret, open;
};
CurvePair make_curve_pair();

}  // namespace millrace::link
