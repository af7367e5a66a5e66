// What a client sends: cut into messages, as many as it may send, each handled.

#include <fmt/core.h>

#include <algorithm>

#include "plugins/signalr/connection.h"
#include "plugins/signalr/frames.h"
#include "plugins/signalr/handshake.h"
#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

using http::websocket::CloseCode;

constexpr std::size_t acknowledge_after = 32U << 10U;  ///< bytes from the client; else a tick does

}  // namespace

void Connection::received_all() {
  if (unacknowledged_ >= acknowledge_after) acknowledge();
  flush();
}

void Connection::received(std::string_view bytes) {
  last_received_ = hub_.now_;
  probed_ = false;
  if (closing_ || protocol_ == &plain_protocol() || bytes.empty()) return;
  if (hub_.raw_) return hub_.raw_(*this, bytes);
  in_ += bytes;
  if (queue_.replay()) unacknowledged_ += bytes.size();
  consume();
}

void Connection::received_too_much() {
  if (!active_) return refuse_handshake(cancelled_handshake().response());
  close(End::too_big,
        fmt::format("Connection closed with an error. The maximum message size of {}B was exceeded.",
                    hub_.options().message_bytes),
        false);
}

void Connection::consume() {
  if (held_) return;
  std::size_t limit = hub_.options().message_bytes;
  std::string bytes = std::exchange(in_, {});
  std::string_view rest = bytes;
  while (!rest.empty() && !closing_) {
    Cut cut = (protocol_ ? protocol_ : &json_protocol())->cut(rest);
    if (cut.payload > limit) return received_too_much();
    if (cut.size == 0) break;
    if (allowed_ < 1) {
      if (!std::exchange(held_, true)) hub_.counters_.held.add();
      break;
    }
    allowed_ -= 1;
    std::string_view message = rest.substr(0, cut.size);
    rest.remove_prefix(cut.size);
    if (!(protocol_ ? handle(message) : handle_first(message))) return;
  }
  in_ = rest;
}

bool Connection::handle_first(std::string_view message) {
  message.remove_suffix(1);
  Handshake handshake = read_handshake(message, transport_->framing());
  if (!handshake.protocol) {
    refuse_handshake(handshake.response());
    return false;
  }
  protocol_ = handshake.protocol;
  send(framed(*protocol_, handshake.response()));
  if (offers_resuming_ && handshake.version >= 2) queue_.number(hub_.options().replay_bytes);
  activate();
  return true;
}

void Connection::refuse_handshake(const std::string& response) {
  if (leaving()) return;
  closing_ = true;
  end_ = End::handshake;
  queue_.push_last(framed(json_protocol(transport_->framing()), response));
  transport_->close(queue_, CloseCode::normal, {});
}

void Connection::fail(std::string_view error) {
  close(End::protocol, fmt::format("Connection closed with an error. {}", error), false);
}

bool Connection::handle(std::string_view text) {
  auto parsed = protocol_->parse(text);
  if (!parsed) {
    fail(parsed.error().what);
    return false;
  }
  if (!*parsed) return true;
  Message message = std::move(**parsed);
  if (queue_.replay() && is_numbered(message.type) && !receipts_.fresh()) return true;
  switch (message.type) {
    case MessageType::ping: client_pings_ = true; break;
    case MessageType::invocation:
    case MessageType::stream_invocation: invoke(std::move(message)); break;
    case MessageType::close:
      closing_ = true;
      transport_->close(queue_, CloseCode::normal, {});
      return false;
    case MessageType::stream_item:
      if (streams_) streams_->item(*message.invocation, std::move(message.item));
      break;
    case MessageType::completion:
      if (streams_) streams_->complete(*message.invocation, std::move(message.item), std::move(message.error));
      break;
    case MessageType::cancel_invocation: cancel(*message.invocation); break;
    case MessageType::ack: return acknowledged(message.sequence);
    case MessageType::sequence: return resequenced(message.sequence);
  }
  return !closing_;
}

bool Connection::acknowledged(std::uint64_t number) {
  if (!queue_.replay()) return true;
  if (queue_.replay()->acknowledge(number)) return true;
  fail("A message was acknowledged that has not been sent.");
  return false;
}

bool Connection::resequenced(std::uint64_t number) {
  if (!queue_.replay() || receipts_.sequence(number)) return true;
  fail("Sequence ID greater than amount of messages we've received.");
  return false;
}

/// The stream is completed whatever its method does.
void Connection::cancel(const std::string& invocation) {
  if (streams_ && streams_->cancel(invocation)) complete(invocation, nullptr);
}

void Connection::invoke(Message message) {
  hub_.counters_.invocations.add();
  hub_.dispatch(*this, std::move(message));
}

void Connection::when_released(std::function<void(bool)> then) {
  if (!held_) return then(true);
  released_ = std::move(then);
}

/// Nothing is lost of what came too fast: it waits here, at most what one read brings, and further on with the client.
void Connection::allow_more(Time now) {
  double rate = hub_.options().message_rate;
  allowed_ = std::min(rate, allowed_ + rate * std::chrono::duration<double>(now - allowed_at_).count());
  allowed_at_ = now;
  if (!held_ || allowed_ < 1) return;
  held_ = false;
  last_received_ = now;  // it has said what is looked at now, and more that is not read yet
  consume();
  received_all();
  if (held_ || leaving()) return;
  if (auto then = std::exchange(released_, nullptr)) then(true);
  if (!cut_) transport_->resume_reading();
}

}  // namespace millrace::signalr
