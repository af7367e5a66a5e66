#pragma once

#include <memory>
#include <span>

#include "plugins/signalr/stream_writer.h"
#include "plugins/signalr/transport.h"
#include "runner/http/stream.h"

namespace millrace::signalr {

/// A hub connection over one WebSocket: RFC 6455 frames, written straight to the socket.
class WebSocketTransport final : public Transport, private http::websocket::FrameReader::Receiver {
 public:
  /// `scratch` is room to read into and `joined` what is written, shared by all transports of a loop. `send_buffer` limits what
  /// the kernel keeps.
  WebSocketTransport(Owner& owner, std::unique_ptr<http::Stream> stream, Outgoing& queue, std::span<char> scratch,
                     Joined& joined, std::size_t send_buffer);

  void start();

  std::string_view name() const override { return "WebSockets"; }
  Framing framing() const override { return Framing::websocket; }
  bool write(Outgoing& queue) override;
  void close(Outgoing& queue, http::websocket::CloseCode code, std::string_view reason) override;
  bool closing() const override { return state_ != State::open; }
  bool cut() const override { return cut_; }
  void resume_reading() override;
  void ping(Outgoing& queue) override;
  void abort() override;

 private:
  enum class State { open, closing, ended };

  void wait_readable();
  bool goes_on() const;
  void read();
  void end();
  void finish_if_done();

  void data(http::websocket::Opcode kind, std::string_view bytes, bool last) override;
  void ping(std::string_view payload) override;
  void pong(std::string_view payload) override;
  void close(std::optional<std::uint16_t> code) override;

  Owner& owner_;
  std::unique_ptr<http::Stream> stream_;
  Outgoing& queue_;
  std::span<char> scratch_;
  http::websocket::FrameReader frames_;
  StreamWriter writer_;
  State state_ = State::open;
  bool cut_ = false;
  bool waits_ = false;  ///< for something to read
  bool writing_ended_ = false;
  bool violated_ = false;  ///< the client broke the framing: what it sends is not read any more
};

}  // namespace millrace::signalr
