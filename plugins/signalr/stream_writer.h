#pragma once

#include <functional>

#include "plugins/signalr/joined.h"
#include "plugins/signalr/transport.h"
#include "runner/http/stream.h"

namespace millrace::signalr {

/// Writes a connection's queue straight to its socket, and goes on by itself when the socket takes bytes again.
class StreamWriter {
 public:
  /// `resumed` is called after the owner's writable().
  StreamWriter(http::Stream& stream, Transport::Owner& owner, Joined& joined, std::function<void()> resumed)
      : stream_(stream), owner_(owner), joined_(joined), resumed_(std::move(resumed)) {}

  /// As Transport::write().
  bool write(Outgoing& queue);

 private:
  http::Stream& stream_;
  Transport::Owner& owner_;
  Joined& joined_;
  std::function<void()> resumed_;
  bool waits_ = false;
};

}  // namespace millrace::signalr
