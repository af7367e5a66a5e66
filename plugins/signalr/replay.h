#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string_view>

#include "plugins/signalr/frame.h"

// Stateful reconnect, one connection's share (HubProtocol.md, "Ack" and "Sequence"; where that page and the official clients
// differ, as the clients do). Messages of types 1 to 5 are numbered from 1 in the order in which they go out; the number is
// never written but in Ack and Sequence.

namespace millrace::signalr {

/// What has gone out and is not acknowledged yet: frames by reference, as all clients share them, and their numbers. After a
/// cut everything here goes out again, behind a Sequence message with the first number. A frame that is acknowledged in part
/// goes out whole: the client knows by their numbers what it has.
class Replay {
 public:
  /// More than `limit` bytes unacknowledged: nothing new may go out.
  explicit Replay(std::size_t limit) : limit_(limit) {}

  bool full() const { return bytes_ >= limit_; }
  std::size_t bytes() const { return bytes_; }
  std::size_t room() const { return full() ? 0 : limit_ - bytes_; }

  /// The first byte of a frame with numbered messages has gone to the socket.
  void sent(SharedFrame frame);

  /// The client has everything up to the number; false if that was never sent.
  bool acknowledge(std::uint64_t number);

  /// The number that Sequence is to say: of the first message that would go out again.
  std::uint64_t first() const { return entries_.empty() ? next_ : entries_.front().first; }

  /// Sends `opening`, which is the Sequence message, and all entries again.
  void begin(SharedFrame opening);

  /// The connection is cut: nothing goes out for now.
  void cut() { opening_ = nullptr, again_ = entries_.size(), begun_ = 0; }

  /// What of this is to go out again, as in Outgoing.
  bool pending() const { return opening_ || again_ < entries_.size(); }
  std::size_t front(std::span<std::string_view> pieces) const;

  /// The socket has taken so many bytes; returns how many of them were none of ours.
  std::size_t taken(std::size_t bytes);

 private:
  struct Entry {
    SharedFrame frame;
    std::uint64_t first;  ///< number of its first message
  };

  std::size_t limit_;
  std::deque<Entry> entries_;
  std::uint64_t next_ = 1;  ///< number of the next message
  std::size_t bytes_ = 0;
  SharedFrame opening_;
  std::size_t again_ = 0;  ///< the entry that is next to go out again
  std::size_t begun_ = 0;  ///< bytes of it, or of the opening, that have
};

/// The numbers of what a client sends: which messages are new, and what to acknowledge.
class Receipts {
 public:
  /// Whether the next numbered message is new; counts it.
  bool fresh();

  /// The client has attached anew: what comes before its Sequence does not count.
  void cut() { awaiting_ = true; }

  /// The client goes on from this number; false if it skips some.
  bool sequence(std::uint64_t number);

  /// The number to acknowledge, once for each news.
  std::optional<std::uint64_t> due();

 private:
  std::uint64_t next_ = 1;    ///< number of the message that comes next
  std::uint64_t latest_ = 0;  ///< seen
  bool awaiting_ = false;
  bool due_ = false;
};

}  // namespace millrace::signalr
