#include "plugins/signalr/event_stream_transport.h"

namespace millrace::signalr {

EventStreamTransport::EventStreamTransport(Owner& owner, std::unique_ptr<http::Stream> stream, Outgoing& queue,
                                           std::span<char> scratch, Joined& joined, std::size_t send_buffer)
    : owner_(owner), stream_(std::move(stream)), queue_(queue), scratch_(scratch), writer_(*stream_, owner, joined, [this] {
        finish_if_done();
      }) {
  stream_->limit_send_buffer(send_buffer);
}

std::string EventStreamTransport::head(const std::vector<http::Header>& headers) {
  std::string head =
      "HTTP/1.1 200 OK\r\n"
      "Content-Type: text/event-stream\r\n"
      "Cache-Control: no-cache,no-store\r\n"
      "Pragma: no-cache\r\n"
      "Content-Encoding: identity\r\n"
      "X-Content-Type-Options: nosniff\r\n"
      "Connection: close\r\n";
  for (const auto& [name, value] : headers) head.append(name).append(": ").append(value).append("\r\n");
  return head + "\r\n:\r\n";
}

void EventStreamTransport::wait_readable() {
  stream_->when_readable([this] { read(); });
}

/// Nothing is to come but the end.
void EventStreamTransport::read() {
  http::Io io = stream_->read(scratch_);
  if (io.closed) return abort();
  wait_readable();
}

bool EventStreamTransport::write(Outgoing& queue) { return state_ == State::ended ? queue.empty() : writer_.write(queue); }

void EventStreamTransport::close(Outgoing& queue, http::websocket::CloseCode, std::string_view) {
  if (state_ != State::open) return;
  state_ = State::closing;
  write(queue);
  finish_if_done();
}

/// Ends our side once everything is sent: the client then reads the end, closes, and we read that.
void EventStreamTransport::finish_if_done() {
  if (state_ != State::closing || !queue_.empty() || writing_ended_) return;
  writing_ended_ = true;
  stream_->end_writing();
}

void EventStreamTransport::abort() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  stream_->close();
  owner_.ended();
}

}  // namespace millrace::signalr
