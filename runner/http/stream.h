#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string_view>

namespace millrace::http {

/// How far a read or write came. No bytes and not closed: it would have to wait.
struct Io {
  std::size_t bytes = 0;
  bool closed = false;  ///< the peer, an error or close() ended the connection
};

/// A connection that a handler has taken over from HTTP, plain or TLS alike. Never waits: write straight away, and ask to be
/// called only when it would block. Belongs to the loop's thread; destroying it closes the connection and drops the callbacks.
class Stream {
 public:
  virtual ~Stream() = default;

  virtual Io read(std::span<char> into) = 0;

  /// Writes the pieces in order with as few system calls as can be: one, without TLS.
  virtual Io write(std::span<const std::string_view> pieces) = 0;

  /// Calls `ready` once, when a read may bring something, be it the end.
  virtual void when_readable(std::function<void()> ready) = 0;

  /// Calls `ready` once, when a write may get on.
  virtual void when_writable(std::function<void()> ready) = 0;

  /// Limits what the kernel keeps unsent to about `bytes`, so that a bound on our own queue means something.
  virtual void limit_send_buffer(std::size_t bytes) = 0;

  /// No more will be written; the peer reads the end after what it was sent.
  virtual void end_writing() = 0;

  virtual void close() = 0;
};

}  // namespace millrace::http
