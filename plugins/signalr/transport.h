#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "plugins/signalr/outgoing.h"
#include "plugins/signalr/protocol.h"
#include "runner/http/loop.h"
#include "runner/http/websocket.h"

namespace millrace::signalr {

/// How a hub connection's bytes travel. A transport moves bytes and knows nothing of hub messages; the connection knows
/// messages and nothing of sockets. All calls on the loop's thread.
class Transport {
 public:
  /// The connection, as its transport sees it. None of these may destroy the transport before returning.
  class Owner {
   public:
    virtual ~Owner() = default;

    /// Bytes from the client: messages or parts of them.
    virtual void received(std::string_view bytes) = 0;

    /// A unit that is larger than any message may be is coming; it is not read. The owner closes.
    virtual void received_too_much() = 0;

    /// Everything received for now was handed over; what has been answered may go out.
    virtual void received_all() = 0;

    /// Whether it takes more from the client now; if not, resume_reading() follows.
    virtual bool wants_more() const = 0;

    /// The socket takes bytes again; the queue may have run empty.
    virtual void writable() = 0;

    /// Writing has failed: abort() is due, but not within this call.
    virtual void broken() = 0;

    /// The client is gone, or the transport has been closed in full. Called once.
    virtual void ended() = 0;
  };

  using Time = http::Loop::Clock::time_point;

  virtual ~Transport() = default;

  /// As negotiation calls it.
  virtual std::string_view name() const = 0;

  /// How messages must be framed for it.
  virtual Framing framing() const = 0;

  /// Writes as much of the queue as the socket takes now; false if the rest has to wait for the socket, in which case
  /// writable() follows, or for the client's acknowledgement.
  virtual bool write(Outgoing& queue) = 0;

  /// No more is to be read. After what is queued the closing handshake follows, within a time that the owner watches.
  virtual void close(Outgoing& queue, http::websocket::CloseCode code, std::string_view reason) = 0;

  /// The owner takes more again.
  virtual void resume_reading() {}

  /// Whether close() was called or the client has begun to close: nothing more may be queued.
  virtual bool closing() const = 0;

  /// Whether it has ended without either side having closed: the client may come back on another.
  virtual bool cut() const { return false; }

  /// Asks the client whether it still lives, where the hub protocol has no ping of its own.
  virtual void ping(Outgoing& queue) = 0;

  /// Looks at the clock; false if the client has gone without a word.
  virtual bool tick(Time) { return true; }

  /// Drops the connection.
  virtual void abort() = 0;
};

}  // namespace millrace::signalr
