#pragma once

#include <memory>
#include <span>
#include <string>

#include "plugins/signalr/stream_writer.h"
#include "plugins/signalr/transport.h"
#include "runner/http/message.h"

namespace millrace::signalr {

/// A hub connection over Server-Sent Events: the answer to one GET that lasts, and a POST for what the client says. Events are
/// texts, so only a protocol of texts can use it.
class EventStreamTransport final : public Transport {
 public:
  /// `stream` is what answers the GET, its head sent. `scratch` is room to read into, shared by all transports of a loop.
  /// `send_buffer` limits what the kernel keeps.
  EventStreamTransport(Owner& owner, std::unique_ptr<http::Stream> stream, Outgoing& queue, std::span<char> scratch,
                       Joined& joined, std::size_t send_buffer);

  /// The head of the answer, with the comment that makes Firefox see that the stream has begun.
  static std::string head(const std::vector<http::Header>& headers);

  void start() { wait_readable(); }

  std::string_view name() const override { return "ServerSentEvents"; }
  Framing framing() const override { return Framing::event_stream; }
  bool write(Outgoing& queue) override;
  void close(Outgoing& queue, http::websocket::CloseCode code, std::string_view reason) override;
  bool closing() const override { return state_ != State::open; }
  void ping(Outgoing&) override {}
  void abort() override;

 private:
  enum class State { open, closing, ended };

  void wait_readable();
  void read();
  void finish_if_done();

  Owner& owner_;
  std::unique_ptr<http::Stream> stream_;
  Outgoing& queue_;
  std::span<char> scratch_;
  StreamWriter writer_;
  State state_ = State::open;
  bool writing_ended_ = false;
};

}  // namespace millrace::signalr
