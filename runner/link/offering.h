#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runner/link/wire.h"
#include "runner/stage/ack.h"

namespace millrace::link {

/// The writer's side of what wire.h describes, without a socket: numbers batches, sends what the reader has given credit for,
/// and keeps each, with the Ack of what it came from, until the reader has settled it. wants_input(), add() and idle() are the
/// stage's, receive() and turn() the socket's thread's.
class Offering {
 public:
  using Moment = std::chrono::steady_clock::time_point;

  struct Outside {
    /// Sends to a peer; false if that is not possible now. Called with a lock held: it must not call back.
    std::function<bool(std::string_view peer, const wire::Message&)> send;
    std::function<void()> changed;  ///< wants_input() or idle() may say something else now
  };

  static constexpr std::size_t window_batches = 256;
  static constexpr std::size_t window_bytes = 16U << 20U;

  /// A reader that has been silent for so long has lost its place to another.
  static constexpr std::chrono::seconds place_kept{10};

  /// How often the reader is told how far it is.
  static constexpr std::chrono::milliseconds pulse{250};

  /// `epoch` names this life of the writer.
  Offering(std::uint64_t epoch, Outside outside) : epoch_(epoch), outside_(std::move(outside)) {}

  /// Only for a reader that is there: what nobody reads stays in the link, where `on_full` holds, and for a successor.
  bool wants_input() const;
  void add(std::string payload, Ack ack);

  /// What a reader that has gone has not settled is offered again by where it came from.
  bool idle() const;

  void receive(std::string_view peer, const wire::Message& message, Moment now);

  /// After every frame, and each `pulse` at least.
  void turn(Moment now);

 private:
  struct Sent {
    std::uint64_t number;
    std::string payload;
    Ack ack;
    bool settled;
  };

  void welcome(std::string_view peer, const wire::Hello& hello, Moment now);
  std::uint64_t first_number() const;
  void heard(Moment now);
  void set_present(bool present);
  void settle(const std::vector<std::uint64_t>& numbers);
  void send_window();

  const std::uint64_t epoch_;
  const Outside outside_;

  mutable std::mutex mutex_;  ///< of what follows up to the next empty line
  bool present_ = false;      ///< a reader is there
  std::deque<Sent> window_;   ///< consecutive numbers; the front is unsettled
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 1;

  std::string peer_, reader_;
  std::uint64_t session_ = 0, credit_ = 0, sent_ = 0;
  Moment heard_{}, pulsed_{};
};

}  // namespace millrace::link
