#pragma once

// Internal to the room; shows Asio.

#include <memory>
#include <string>

#include "runner/http/asio_loop.h"
#include "runner/http/stream.h"
#include "runner/stage/context.h"

namespace millrace::http {

/// A TCP connection without TLS: writes go straight to the socket.
class SocketStream : public Stream {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  /// Takes a connected socket. `open` counts the connections there are.
  SocketStream(std::shared_ptr<AsioLoop> loop, Socket socket, std::shared_ptr<Counter> open);
  ~SocketStream() override;

  Io read(std::span<char> into) override;
  Io write(std::span<const std::string_view> pieces) override;
  void when_readable(std::function<void()> ready) override;
  void when_writable(std::function<void()> ready) override;
  void limit_send_buffer(std::size_t bytes) override;
  void end_writing() override;
  void close() override;

  /// The other end's address without its port; empty if it has gone. IPv4 as such, also where it came in as IPv6.
  std::string remote_address() const;

  /// Bytes that were read already and belong to who reads next.
  void unread(std::string bytes) { unread_ = std::move(bytes); }

  /// Forgets who waits, for a change of owner.
  void drop_callbacks();

 protected:
  int descriptor() { return socket_.native_handle(); }
  Io read_unread(std::span<char> into);
  void wait(Socket::wait_type what, std::function<void()> ready);
  bool open() const { return socket_.is_open(); }

  std::string unread_;

 private:
  std::shared_ptr<AsioLoop> loop_;
  std::shared_ptr<int> alive_ = std::make_shared<int>();
  Socket socket_;
  std::shared_ptr<Counter> count_;
};

}  // namespace millrace::http
