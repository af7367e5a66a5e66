#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::test {

/// A bare TCP client of a server on 127.0.0.1, for what a well-behaved library would never send. Every read has a deadline,
/// after which it returns what has come.
class SocketClient {
 public:
  /// `receive_buffer` bounds what the kernel takes in for a client that does not read; 0 leaves it to the kernel.
  explicit SocketClient(std::uint16_t port, int receive_buffer = 0);
  ~SocketClient();
  SocketClient(SocketClient&& other) noexcept;
  SocketClient(const SocketClient&) = delete;

  void send(std::string_view bytes);
  void end_writing();

  /// Drops the connection at once, with what is under way: the server reads an error. Nothing may be done after.
  void reset();

  /// Reads until `text` has come (and maybe more), the server has closed, or the deadline. What comes stays in received().
  bool read_until(std::string_view text);

  /// Reads at least `bytes` in all, unless the server closes.
  bool read_bytes(std::size_t bytes);

  /// Reads to the end; false if the server has not closed by the deadline.
  bool read_to_end();

  std::string& received() { return received_; }

 private:
  enum class Read { some, end, late };
  Read read_some();

  int socket_ = -1;
  std::string received_;
  std::chrono::seconds deadline_{60};
};

/// One HTTP exchange on a connection of its own; `request` as it goes over the wire.
std::string http_exchange(std::uint16_t port, std::string_view request);

/// "GET path HTTP/1.1" with Host, further header lines (each ended by CRLF) and Connection: close.
std::string http_get(std::string_view path, std::string_view headers = {});

/// The status of an HTTP answer; 0 if it is none.
int status_of(std::string_view answer);

/// What follows the head.
std::string body_of(std::string_view answer);

/// A client's frame: masked. `first` is the first byte: 0x81 is a final text frame.
std::string client_frame(std::uint8_t first, std::string_view payload);

}  // namespace millrace::test
