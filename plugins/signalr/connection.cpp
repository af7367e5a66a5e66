#include "plugins/signalr/connection.h"

#include <algorithm>

#include "plugins/signalr/frames.h"
#include "plugins/signalr/handshake.h"
#include "plugins/signalr/hub.h"

namespace millrace::signalr {

using http::websocket::CloseCode;

Connection::Connection(Hub& hub, std::string id, std::string token, const Protocol* protocol, Time now)
    : hub_(hub),
      id_(std::move(id)),
      token_(std::move(token)),
      protocol_(protocol),
      queue_(hub.options().client_queue, hub.options().slow_client),
      allowed_(hub.options().message_rate),
      allowed_at_(now),
      opened_(now),
      last_received_(now),
      last_sent_(now) {}

Connection::~Connection() = default;

void Connection::attach(std::unique_ptr<Transport> transport) {
  transport_ = std::move(transport);
  if (protocol_) activate();
}

bool Connection::in_group(std::string_view group) const {
  return std::find(groups_.begin(), groups_.end(), group) != groups_.end();
}

void Connection::activate() {
  active_ = true;
  hub_.activated(*this);
}

void Connection::send(const SharedFrame& frame) {
  if (leaving()) return;
  if (!cut_ && !queue_.fits(frame->bytes.size())) transport_->write(queue_);
  auto pushed = queue_.push(frame);
  hub_.counters_.records.add(frame->records);
  if (pushed.conflated > 0) hub_.counters_.conflated.add(pushed.conflated);
  if (pushed.dropped > 0) hub_.counters_.dropped.add(pushed.dropped);
  if (pushed.full) return close(End::slow, "The client does not read fast enough.", true);
  if (protocol_ != &plain_protocol() && !queue_.paused()) last_sent_ = hub_.now_;
  hub_.touch(*this);
}

void Connection::send_text(std::string_view text) { send(framed(json_protocol(transport_->framing()), text)); }

void Connection::flush() {
  flush_due_ = false;
  if (cut_) return;
  while (transport_->write(queue_)) {
    if (leaving()) return;
    // Who has not shaken hands may be in groups already, and be owed what they have.
    if (active_ && !queue_.owed().empty()) {
      hub_.pay(*this);
      continue;
    }
    // Once a flush, so that a stream without end leaves others their turn: what it sends is flushed in a later task.
    if (streams_) streams_->drained();
    return;
  }
}

template <class Append>
void Connection::send_message(Append append) {
  std::string message;
  append(message);
  send(framed(*protocol_, message, 1));
}

void Connection::invoke_client(std::string_view target, const nlohmann::json& arguments) {
  if (active_) send_message([&](std::string& out) { protocol_->append_invocation(out, {}, target, arguments); });
}

void Connection::invoke_client(std::string_view target, const nlohmann::json& arguments,
                               const std::function<void(ClientResult)>& answered) {
  if (!active_ || leaving()) return answered({.error = "The client has gone."});
  auto id = streams().expect(answered);
  if (!id) return answered({.error = "Too many calls wait for this client's answer."});
  send_message([&](std::string& out) { protocol_->append_invocation(out, *id, target, arguments); });
}

void Connection::send_item(std::string_view invocation, const nlohmann::json& item) {
  send_message([&](std::string& out) { protocol_->append_stream_item(out, invocation, item); });
}

void Connection::send_item(std::string_view invocation, Encoded item) {
  send_message([&](std::string& out) { protocol_->append_stream_item(out, invocation, item); });
}

Streams& Connection::streams() {
  if (!streams_) streams_ = std::make_unique<Streams>();
  return *streams_;
}

void Connection::when_drained(std::function<void()> drained) {
  streams().when_drained(std::move(drained));
  hub_.touch(*this);
}

void Connection::complete(std::string_view invocation, const nlohmann::json* result) {
  send_message([&](std::string& out) { protocol_->append_completion(out, invocation, result); });
}

void Connection::complete(std::string_view invocation, std::span<const Encoded> items) {
  send_message([&](std::string& out) { protocol_->append_completion(out, invocation, items); });
}

void Connection::complete_with_error(std::string_view invocation, std::string_view error) {
  send_message([&](std::string& out) { protocol_->append_error(out, invocation, error); });
}

void Connection::close(End why, std::string_view error, bool allow_reconnect) {
  if (leaving()) return;
  closing_ = true;
  end_ = why;
  // Else the client would take the end for a cut.
  if (queue_.replay()) hub_.forget_token(*this);
  if (cut_) return hub_.doom(*this);
  if (why == End::slow) queue_.discard();
  if (active_ && protocol_ != &plain_protocol()) {
    std::string message;
    protocol_->append_close(message, error, allow_reconnect);
    queue_.push_last(framed(*protocol_, message));
  }
  CloseCode code = CloseCode::normal;
  if (why == End::too_big) code = CloseCode::too_big;
  if (protocol_ == &plain_protocol() && why == End::shutdown) code = CloseCode::going_away;
  if (protocol_ == &plain_protocol() && why == End::expired) code = CloseCode::policy;
  if (protocol_ == &plain_protocol() && why == End::slow) code = CloseCode::try_again_later;
  transport_->close(queue_, code, {});
}

void Connection::abort() {
  closing_ = true;
  doomed_ = true;
  drop();
}

/// Without a word from either side; the client may come back if it is not closed.
void Connection::drop() {
  if (!std::exchange(doomed_, false)) return;
  if (!cut_) return transport_->abort();
  if (closing_) hub_.ended(*this);
}

void Connection::broken() { hub_.doom(*this); }

/// Who reads what waited lives, however long its own words wait behind that.
void Connection::writable() {
  last_received_ = Connection::Time::clock::now();
  probed_ = false;
  flush();
}

void Connection::ended() {
  if (closing_ || !queue_.replay() || !transport_->cut()) return hub_.ended(*this);
  cut_ = true;
  cut_since_ = hub_.now_;
  queue_.cut();
  receipts_.cut();
  in_.clear();
  held_ = false;
}

void Connection::resume(std::unique_ptr<Transport> transport) {
  if (!cut_) transport_->abort();
  transport_ = std::move(transport);
  cut_ = false;
  doomed_ = false;
  last_received_ = hub_.now_;
  last_sent_ = hub_.now_;
  Replay& replay = *queue_.replay();
  replay.begin(number_frame(*protocol_, MessageType::sequence, replay.first()));
  hub_.touch(*this);
}

void Connection::acknowledge() {
  unacknowledged_ = 0;
  if (auto number = receipts_.due()) send(number_frame(*protocol_, MessageType::ack, *number));
}

/// Whether silence means that the client is gone: it pings by itself, or a WebSocket ping, which even a client that does not
/// know of it answers, asks it in time.
bool Connection::answers_probes(Time now) {
  if (protocol_ == &plain_protocol() || client_pings_) return true;
  if (transport_->framing() != Framing::websocket) return false;
  if (!probed_ && now - last_received_ >= hub_.options().client_timeout / 2) {
    probed_ = true;
    transport_->ping(queue_);
    flush();
  }
  return true;
}

void Connection::tick(Time now) {
  const HubOptions& options = hub_.options();
  if (cut_) {
    if (now - cut_since_ < options.attach_timeout) return;
    end_ = End::timeout;
    return abort();
  }
  if (leaving()) {
    if (closing_since_ == Time{}) closing_since_ = now;
    if (now - closing_since_ >= options.close_timeout) abort();
    return;
  }
  if (now >= ends_) return hub_.expire(*this);
  if (!transport_->tick(now)) {
    end_ = End::timeout;
    return abort();
  }
  if (hub_.raw_) return;
  allow_more(now);
  if (leaving() || cut_) return;
  if (!protocol_) {
    if (now - opened_ >= options.handshake_timeout) refuse_handshake(cancelled_handshake().response());
    return;
  }
  bool plain = protocol_ == &plain_protocol();
  if (answers_probes(now) && now - last_received_ >= options.client_timeout)
    return close(End::timeout, "The client has been silent for too long.", true);
  acknowledge();
  // Polls show by themselves that the client lives, and that the server does.
  if (transport_->framing() == Framing::body) return;
  if (now - last_sent_ < options.keep_alive || !(queue_.empty() || queue_.paused())) return;
  last_sent_ = now;
  if (plain) {
    transport_->ping(queue_);
  } else {
    std::string message;
    protocol_->append_ping(message);
    send(framed(*protocol_, message));
  }
  flush();
}

}  // namespace millrace::signalr
