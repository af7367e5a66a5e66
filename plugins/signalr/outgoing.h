#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "plugins/signalr/frame.h"
#include "plugins/signalr/replay.h"

namespace millrace::signalr {

/// What happens to telemetry for a client that does not keep up.
enum class SlowClient {
  newest,       ///< it is owed the newest value of each series
  drop_oldest,  ///< what has waited longest is dropped
  disconnect,   ///< it is disconnected, and may come again
};

/// Series of which a client is owed the newest value: a set of places in Latest, one bit each.
class Owed {
 public:
  void add(std::uint32_t place);
  void remove(std::uint32_t place);
  bool has(std::uint32_t place) const;
  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }

  /// Whose turn it is, going round so that none waits for ever; only if not empty.
  std::uint32_t next();

 private:
  std::vector<std::uint64_t> bits_;
  std::size_t count_ = 0;
  std::uint32_t turn_ = 0;  ///< the place to look at next
};

/// One client's frames that the socket has not taken yet, within `limit` bytes. Frames are kept by reference, and counted in
/// full though others may share them. Telemetry that does not fit is conflated or dropped as the policy says; all else is never
/// dropped: if there is no room for it even in place of telemetry, the client must go. A frame is always let into an empty
/// queue.
///
/// With stateful reconnect, frames with numbered messages are numbered when they begin to go out, so that all dropping and
/// conflating is done before, and wait here while too much is unacknowledged. Frames without go out in front of those.
class Outgoing {
 public:
  Outgoing(std::size_t limit, SlowClient policy) : limit_(limit), policy_(policy) {}

  struct Pushed {
    bool full = false;            ///< no room: disconnect
    std::uint32_t conflated = 0;  ///< records that the client is now owed in their newest form only
    std::uint32_t dropped = 0;
  };

  Pushed push(SharedFrame frame);

  /// Puts in what the client is owed, whatever the limit.
  void push_owed(SharedFrame frame);

  /// Puts in the last words to a client that goes, whatever the limit. They would not get out if what stands before them had to
  /// wait for a client that nobody listens to any more: from now on nothing waits for an acknowledgement.
  void push_last(SharedFrame frame);

  /// Whether push() of so many bytes would simply queue them.
  bool fits(std::size_t bytes) const { return none_waits() || bytes_ + bytes <= limit_; }

  /// Whether so many bytes more leave half of the room to what cannot wait. An empty queue always has it.
  bool has_spare(std::size_t bytes) const { return empty() || bytes_ + bytes <= limit_ / 2; }

  bool empty() const { return none_waits() && !(replay_ && replay_->pending()); }
  std::size_t bytes() const { return bytes_; }

  /// Up to `pieces.size()` pieces of what is to be sent next. None, though not empty: an acknowledgement must come first.
  std::size_t front(std::span<std::string_view> pieces) const;

  /// All that is to be sent, if it is whole frames as other clients may get them too; else nothing.
  std::span<const SharedFrame> whole() const;

  /// The socket has taken so many bytes.
  void sent(std::size_t bytes);

  /// Forgets everything but the rest of a frame that has been sent in part.
  void discard();

  /// Numbers what goes out from now on, and keeps up to about `limit` bytes of it until it is acknowledged.
  void number(std::size_t limit) { replay_ = std::make_unique<Replay>(limit); }

  /// What number() has made, or null.
  Replay* replay() { return replay_.get(); }

  /// Whether numbered frames have to wait for an acknowledgement.
  bool paused() const { return replay_ && last_words_ == 0 && replay_->full(); }

  /// The connection is cut: what it has taken of a frame does not count, and last words are not for the next one.
  void cut();

  Owed& owed() { return owed_; }
  const Owed& owed() const { return owed_; }

 private:
  bool none_waits() const { return head_ == frames_.size(); }
  void append(SharedFrame frame);
  void hasten(SharedFrame frame);
  std::uint32_t conflate(const Frame& frame);
  void displace(std::size_t wanted, Pushed& pushed);

  std::size_t limit_;
  SlowClient policy_;
  std::vector<SharedFrame> frames_;  ///< from head_ on
  std::size_t head_ = 0;
  std::size_t sent_ = 0;        ///< of the frame at head_
  std::size_t bytes_ = 0;       ///< unsent
  std::size_t last_words_ = 0;  ///< how many frames were put in as such
  Owed owed_;
  std::unique_ptr<Replay> replay_;
};

}  // namespace millrace::signalr
