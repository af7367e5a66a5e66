#include "plugins/signalr/websocket_transport.h"

namespace millrace::signalr {

namespace websocket = http::websocket;

namespace {

constexpr int reads_a_turn = 8;  ///< then others have their turn

SharedFrame control_frame(websocket::Opcode opcode, std::string_view payload) {
  auto frame = std::make_shared<Frame>();
  websocket::append_frame(frame->bytes, opcode, payload);
  return frame;
}

}  // namespace

WebSocketTransport::WebSocketTransport(Owner& owner, std::unique_ptr<http::Stream> stream, Outgoing& queue,
                                       std::span<char> scratch, Joined& joined, std::size_t send_buffer)
    : owner_(owner), stream_(std::move(stream)), queue_(queue), scratch_(scratch), writer_(*stream_, owner, joined, [this] {
        finish_if_done();
      }) {
  stream_->limit_send_buffer(send_buffer);
}

void WebSocketTransport::start() { wait_readable(); }

void WebSocketTransport::wait_readable() {
  waits_ = true;
  stream_->when_readable([this] {
    waits_ = false;
    read();
  });
}

void WebSocketTransport::resume_reading() {
  if (!waits_ && state_ != State::ended) wait_readable();
}

void WebSocketTransport::read() {
  for (int i = 0; i < reads_a_turn && state_ != State::ended && goes_on(); ++i) {
    http::Io io = stream_->read(scratch_);
    if (io.closed) return end();
    if (io.bytes == 0) break;
    if (violated_) continue;
    // While closing, only the client's own Close frame matters; data is read and let go.
    if (auto violation = frames_.read(scratch_.first(io.bytes), *this)) {
      violated_ = true;
      if (*violation == websocket::CloseCode::too_big) owner_.received_too_much();
      close(queue_, *violation, {});
    }
  }
  if (state_ == State::ended) return;
  owner_.received_all();
  if (state_ == State::ended) return;
  finish_if_done();
  if (state_ != State::ended && goes_on()) wait_readable();
}

/// Whether there is a use for reading; of a client that is to go only its Close frame is awaited.
bool WebSocketTransport::goes_on() const { return state_ == State::closing || owner_.wants_more(); }

void WebSocketTransport::data(websocket::Opcode, std::string_view bytes, bool) {
  if (state_ == State::open) owner_.received(bytes);
}

void WebSocketTransport::ping(std::string_view payload) {
  if (state_ == State::open && queue_.push(control_frame(websocket::Opcode::pong, payload)).full)
    close(queue_, websocket::CloseCode::policy, "too many unread pongs");
}

void WebSocketTransport::pong(std::string_view) {
  if (state_ == State::open) owner_.received({});
}

void WebSocketTransport::close(std::optional<std::uint16_t> code) {
  if (state_ != State::open) return;
  // What stands between may say goodbye when it goes down itself; a client that leaves says so plainly.
  cut_ = code && *code != static_cast<std::uint16_t>(websocket::CloseCode::normal);
  close(queue_, websocket::CloseCode::normal, {});
}

void WebSocketTransport::ping(Outgoing& queue) { queue.push(control_frame(websocket::Opcode::ping, {})); }

bool WebSocketTransport::write(Outgoing& queue) { return state_ == State::ended ? queue.empty() : writer_.write(queue); }

void WebSocketTransport::close(Outgoing& queue, websocket::CloseCode code, std::string_view reason) {
  if (state_ != State::open) return;
  state_ = State::closing;
  auto frame = std::make_shared<Frame>();
  frame->bytes = websocket::close_frame(code, reason);
  queue.push_last(std::move(frame));
  write(queue);
}

/// Ends our side once everything is sent: the client then reads the end, closes, and we read that.
void WebSocketTransport::finish_if_done() {
  if (state_ != State::closing || !queue_.empty() || writing_ended_ || !(frames_.closed() || violated_)) return;
  writing_ended_ = true;
  stream_->end_writing();
}

void WebSocketTransport::end() {
  if (state_ == State::ended) return;
  if (state_ == State::open) cut_ = true;
  state_ = State::ended;
  stream_->close();
  owner_.ended();
}

void WebSocketTransport::abort() { end(); }

}  // namespace millrace::signalr
