#include "plugins/signalr/hub.h"

#include <algorithm>
#include <cassert>

#include "runner/http/base64url.h"

namespace millrace::signalr {
namespace {

constexpr std::size_t largest_frame = 32U << 10U;  ///< of several records: so that a queue of 64 KiB conflates in parts

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return lower;
}

}  // namespace

Hub::Hub(std::shared_ptr<http::Loop> loop, HubOptions options)
    : loop_(std::move(loop)),
      options_(std::move(options)),
      origins_(options_.origins),
      negotiations_(options_.negotiations),
      rest_requests_(options_.rest_requests),
      shares_(options_.max_connections_per_user),
      latest_(std::max<std::uint32_t>(options_.series, 1)),
      history_(options_.history),
      epoch_(http::random_text(6)),
      frame_limit_(std::min(largest_frame, std::max<std::size_t>(options_.client_queue / 2, 1024))),
      scratch_(16U << 10U) {}

Hub::~Hub() {
  // What still streams is told that it ends, and can send nothing any more.
  for (const auto& connection : connections_) {
    connection->closing_ = true;
    if (connection->streams_) connection->streams_->abandon();
  }
  for (const auto& connection : connections_) connection->transport_.reset();
}

void Hub::method(std::string_view name, Method method, std::size_t uploads) {
  methods_.insert_or_assign(lower_case(name), Declared{.method = std::move(method), .uploads = uploads});
}

void Hub::stream(std::string_view name, Method method, std::size_t uploads) {
  methods_.insert_or_assign(lower_case(name), Declared{.method = std::move(method), .uploads = uploads, .streams = true});
}

void Hub::require(std::string_view name, http::Right right) {
  auto found = methods_.find(lower_case(name));
  assert(found != methods_.end() && "the method is registered first");
  found->second.right = right;
}

bool Hub::publish(std::shared_ptr<const Publication> publication) { return handover_->put(std::move(publication)); }

void Hub::arrived() {
  Clock::duration pause = options_.flush.count() > 0 ? options_.flush : breath_.before_turn(Clock::now());
  if (pause == Clock::duration::zero()) return turn();
  flush_timer_ = loop_->after(pause, [this] { turn(); });
}

void Hub::touch(Connection& connection) {
  if (std::exchange(connection.flush_due_, true)) return;
  touched_.push_back(&connection);
  if (in_turn_ || std::exchange(flush_posted_, true)) return;
  loop_->post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->flush_posted_ = false;
    self->flush_touched();
  });
}

void Hub::flush_touched() {
  // Nobody is destroyed meanwhile: who ends is buried in a later task.
  joined_.begin();
  for (Connection* connection : std::exchange(touched_, {}))
    if (connection->flush_due_) connection->flush();
  joined_.end();
}

void Hub::dispatch(Connection& connection, Message message) {
  std::string target = std::move(message.target);
  bool as_stream = message.type == MessageType::stream_invocation;
  std::size_t uploads = message.streams.size();
  Call call(connection.weak_from_this(), std::move(message));
  auto found = methods_.find(lower_case(target));
  if (found == methods_.end() && otherwise_ && !as_stream && uploads == 0)
    return otherwise_(std::move(target), std::move(call));
  if (found == methods_.end()) return call.fail("Unknown hub method '" + target + "'");
  const Declared& declared = found->second;
  if (!connection.identity().may(declared.right)) return call.fail("You may not call '" + target + "'.");
  if (as_stream && !declared.streams)
    return call.fail("The client attempted to invoke the non-streaming '" + target + "' method with a streaming invocation.");
  if (!as_stream && declared.streams)
    return call.fail("The client attempted to invoke the streaming '" + target + "' method with a non-streaming invocation.");
  if (uploads != declared.uploads)
    return call.fail("Client sent " + std::to_string(uploads) + " stream(s), Hub method expects " +
                     std::to_string(declared.uploads) + ".");
  if (as_stream) {
    call.cancellation_ = connection.streams().begin(*call.id_);
    if (!call.cancellation_) return call.fail("Too many streams, or an invocation id that is in use.");
  }
  declared.method(std::move(call));
}

void Hub::activated(Connection& connection) {
  counters_.connected.add();
  owe_all(connection);
  touch(connection);
}

void Hub::ended(Connection& connection) {
  std::size_t place = connection.place_;
  if (place >= connections_.size() || connections_[place].get() != &connection) return;
  withdraw(connection);
  connection.share_ = nullptr;  // at once: whoever sees that it has ended may come again
  count_end(connection.end_);
  counters_.clients.set(connections_.size() - 1);
  if (connection.streams_) connection.streams_->abandon();
  // Not now: an answer may bring the client's next request at once.
  if (auto then = std::exchange(connection.released_, nullptr)) loop_->post([then = std::move(then)] { then(false); });
  if (disconnected_) disconnected_(connection);
  place = connection.place_;  // what was called may have ended others
  std::shared_ptr<Connection> gone = std::move(connections_[place]);
  if (place + 1 != connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place_ = place;
  }
  connections_.pop_back();
  doomed_.push_back(std::move(gone));
  if (!std::exchange(burial_posted_, true)) loop_->post([self = shared_from_this()] { self->bury(); });
}

void Hub::forget_token(Connection& connection) {
  if (!connection.token_.empty()) attached_.erase(connection.token_);
}

void Hub::doom(Connection& connection) {
  if (std::exchange(connection.doomed_, true)) return;
  loop_->post([weak = connection.weak_from_this()] {
    if (auto alive = weak.lock()) alive->drop();
  });
}

void Hub::bury() {
  burial_posted_ = false;
  flush_touched();  // so that none of those to bury is on the list
  doomed_.clear();
}

void Hub::count_end(End why) {
  switch (why) {
    case End::client: return counters_.ended_by_client.add();
    case End::handshake: return counters_.ended_handshake.add();
    case End::timeout: return counters_.ended_timeout.add();
    case End::too_big:
    case End::protocol: return counters_.ended_protocol.add();
    case End::slow: return counters_.ended_slow.add();
    case End::shutdown: return counters_.ended_shutdown.add();
    case End::expired: return counters_.ended_expired.add();
    case End::expelled: return counters_.ended_expelled.add();
  }
}

void Hub::schedule_tick() {
  auto pause = std::min({options_.keep_alive, options_.client_timeout, options_.handshake_timeout, options_.close_timeout,
                         options_.attach_timeout, options_.poll_timeout, HubOptions::Time(4000)}) /
               4;
  // A hub that nobody publishes to any more lives until its last connection has ended.
  std::shared_ptr<Hub> keep = retired_ && !connections_.empty() ? shared_from_this() : nullptr;
  tick_timer_ = loop_->after(pause, [this, keep] { tick(); });
}

void Hub::tick() {
  now_ = Clock::now();
  std::erase_if(pending_, [this](const auto& one) { return one.second.expires <= now_; });
  history_.expire(now_);
  std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) connection->tick(now_);
  schedule_tick();
}

void Hub::retire() {
  if (retired_.exchange(true)) return;
  {
    std::lock_guard lock(routes_mutex_);
    routes_.clear();
  }
  loop_->post([self = shared_from_this()] { self->close_all(); });
}

void Hub::close_all() {
  now_ = Clock::now();
  pending_.clear();
  // What was still gathering has been settled: it goes out before the Close.
  flush_timer_ = {};
  turn();
  std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) connection->close(End::shutdown, {}, true);
  schedule_tick();
}

}  // namespace millrace::signalr
