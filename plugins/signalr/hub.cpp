#include "plugins/signalr/hub.h"

#include <algorithm>

#include "runner/stage/json.h"

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
      latest_(std::max<std::uint32_t>(options_.series, 1)),
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

bool Hub::publish(std::shared_ptr<const Publication> publication) { return handover_->put(std::move(publication)); }

void Hub::arrived() {
  if (options_.flush.count() == 0) return turn();
  flush_timer_ = loop_->after(options_.flush, [this] { turn(); });
}

/// Frames of the same records, made for a protocol when its first client is met.
class Hub::Frames {
 public:
  Frames(Hub& hub, const std::vector<Shown>& shown) : hub_(hub), shown_(shown) {}

  const std::vector<SharedFrame>& of(const Protocol& protocol) {
    for (const auto& [made_for, frames] : made_)
      if (made_for == &protocol) return frames;
    auto& frames = made_.emplace_back(&protocol, std::vector<SharedFrame>{}).second;
    make(protocol, frames);
    return frames;
  }

 private:
  void make(const Protocol& protocol, std::vector<SharedFrame>& frames) {
    for (std::size_t begin = 0; begin < shown_.size();) {
      const std::string& target = target_of(shown_[begin]);
      std::vector<Encoded> records;
      auto frame = std::make_shared<Frame>();
      std::size_t bytes = 0, end = begin;
      for (; end < shown_.size() && target_of(shown_[end]) == target; ++end) {
        Encoded record = shown_[end].publication->record(*shown_[end].item);
        if (!records.empty() && bytes + record.json.size() > hub_.frame_limit_) break;
        bytes += record.json.size() + 1;
        records.push_back(record);
        frame->series.push_back(shown_[end].place);
      }
      protocol.append_records(frame->bytes, target, records);
      frame->messages = 1;
      frame->records = static_cast<std::uint32_t>(records.size());
      hub_.counters_.frames.add();
      frames.push_back(std::move(frame));
      begin = end;
    }
  }

  static const std::string& target_of(const Shown& shown) { return shown.publication->target(*shown.item); }

  Hub& hub_;
  const std::vector<Shown>& shown_;
  std::vector<std::pair<const Protocol*, std::vector<SharedFrame>>> made_;
};

void Hub::turn() {
  now_ = Clock::now();
  in_turn_ = true;
  auto publications = handover_->take();
  std::vector<Shown> telemetry, events;
  for (const auto& publication : publications) {
    for (const Item& item : publication->items()) {
      if (item.telemetry) {
        telemetry.push_back({publication.get(), &item, keep_latest(*publication, item)});
      } else {
        events.push_back({publication.get(), &item, Latest::none});
      }
    }
  }
  if (!telemetry.empty()) broadcast_telemetry(telemetry);
  for (const Shown& event : events) broadcast_event(event);
  flush_touched();
  in_turn_ = false;
}

std::uint32_t Hub::keep_latest(const Publication& publication, const Item& item) {
  auto updated = latest_.update(item.series, publication.target(item), publication.group(item), publication.record(item));
  if (updated.evicted) {
    counters_.evicted.add();
    for (const auto& connection : connections_) connection->queue_.owed().remove(updated.place);
  }
  return updated.place;
}

void Hub::broadcast_telemetry(const std::vector<Shown>& shown) {
  Frames for_all(*this, shown);
  for (const auto& connection : connections_) {
    if (connection->selective() || !connection->protocol()) continue;
    for (const SharedFrame& frame : for_all.of(*connection->protocol())) connection->send(frame);
  }
  if (groups_.empty()) return;

  std::unordered_map<std::string_view, std::vector<Shown>> by_group;
  for (const Shown& one : shown) by_group[one.publication->group(*one.item)].push_back(one);
  for (const auto& [name, of_group] : by_group) {
    auto group = groups_.find(name);
    if (group == groups_.end()) continue;
    Frames frames(*this, of_group);
    for (Connection* member : group->second.members)
      for (const SharedFrame& frame : frames.of(*member->protocol())) member->send(frame);
  }
}

void Hub::broadcast_event(const Shown& shown) {
  const Publication& publication = *shown.publication;
  std::vector<std::pair<const Protocol*, SharedFrame>> made;
  auto send = [&](Connection& connection) {
    const Protocol* protocol = connection.protocol();
    auto found = std::find_if(made.begin(), made.end(), [&](const auto& one) { return one.first == protocol; });
    if (found == made.end()) {
      auto frame = std::make_shared<Frame>();
      protocol->append_event(frame->bytes, publication.target(*shown.item), publication.record(*shown.item));
      frame->records = 1;
      frame->messages = 1;
      counters_.frames.add();
      found = made.emplace(made.end(), protocol, std::move(frame));
    }
    connection.send(found->second);
  };

  for (const auto& connection : connections_)
    if (!connection->selective() && connection->protocol()) send(*connection);
  std::string_view first = publication.group(*shown.item), other = publication.other(*shown.item);
  if (auto group = groups_.find(first); group != groups_.end())
    for (Connection* member : group->second.members) send(*member);
  if (auto group = other.empty() ? groups_.end() : groups_.find(other); group != groups_.end())
    for (Connection* member : group->second.members)
      if (!member->in_group(first)) send(*member);
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
  for (Connection* connection : std::exchange(touched_, {}))
    if (connection->flush_due_) connection->flush();
}

void Hub::owe_all(Connection& connection) {
  for (std::uint32_t place = 0; place < latest_.size(); ++place)
    if (!connection.selective() || connection.in_group(latest_.at(place).group)) connection.queue_.owed().add(place);
}

/// Makes the next frame of what a client is owed. It has no more than one target, and need not be sent if there was nothing for
/// this client after all.
void Hub::pay(Connection& connection) {
  Owed& owed = connection.queue_.owed();
  auto frame = std::make_shared<Frame>();
  std::vector<Encoded> records;
  const std::string* target = nullptr;
  std::size_t bytes = 0;
  while (!owed.empty()) {
    std::uint32_t place = owed.take();
    const Latest::Series& series = latest_.at(place);
    if (connection.selective() && !connection.in_group(series.group)) continue;
    if (!records.empty() && (*target != series.target || bytes + series.json.size() > frame_limit_)) {
      owed.add(place);
      break;
    }
    target = &series.target;
    bytes += series.json.size() + 1;
    records.push_back(series.record());
    frame->series.push_back(place);
  }
  if (records.empty()) return;
  connection.protocol()->append_records(frame->bytes, *target, records);
  frame->records = static_cast<std::uint32_t>(records.size());
  frame->messages = 1;
  counters_.frames.add();
  connection.queue_.push_last(std::move(frame));
}

std::vector<Encoded> Hub::latest(const std::vector<std::string>& groups) const {
  std::vector<Encoded> records;
  for (std::uint32_t place = 0; place < latest_.size(); ++place) {
    const Latest::Series& series = latest_.at(place);
    if (!groups.empty() && std::find(groups.begin(), groups.end(), series.group) == groups.end()) continue;
    records.push_back(series.record());
  }
  return records;
}

void Hub::subscribe(Connection& connection, const std::vector<std::string>& groups) {
  // Who has had everything so far is up to date; who joins one more group is owed its latest.
  bool had_everything = !std::exchange(connection.selective_, true);
  for (const std::string& name : groups) {
    if (connection.in_group(name)) continue;
    connection.groups_.push_back(name);
    groups_[name].members.push_back(&connection);
    if (had_everything) continue;
    for (std::uint32_t place = 0; place < latest_.size(); ++place)
      if (latest_.at(place).group == name) connection.queue_.owed().add(place);
  }
  touch(connection);
}

void Hub::unsubscribe(Connection& connection, const std::vector<std::string>& groups) {
  for (const std::string& name : groups) {
    if (std::erase(connection.groups_, name) > 0) leave(connection, name);
  }
}

void Hub::leave(Connection& connection, const std::string& name) {
  auto group = groups_.find(name);
  if (group == groups_.end()) return;
  std::erase(group->second.members, &connection);
  if (group->second.members.empty()) groups_.erase(group);
}

void Hub::dispatch(Connection& connection, Message message) {
  std::string target = std::move(message.target);
  bool as_stream = message.type == MessageType::stream_invocation;
  std::size_t uploads = message.streams.size();
  Call call(connection.weak_from_this(), std::move(message));
  auto found = methods_.find(lower_case(target));
  if (found == methods_.end()) return call.fail("Unknown hub method '" + target + "'");
  const Declared& declared = found->second;
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

std::shared_ptr<Connection> Hub::find(std::string_view id) const {
  for (const auto& connection : connections_)
    if (connection->id() == id) return connection;
  return nullptr;
}

void Hub::activated(Connection& connection) {
  counters_.connected.add();
  owe_all(connection);
  touch(connection);
}

void Hub::ended(Connection& connection) {
  std::size_t place = connection.place_;
  if (place >= connections_.size() || connections_[place].get() != &connection) return;
  for (const std::string& group : connection.groups_) leave(connection, group);
  forget_token(connection);
  count_end(connection.end_);
  counters_.clients.set(connections_.size() - 1);
  if (connection.streams_) connection.streams_->abandon();
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
  std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) connection->close(End::shutdown, {}, true);
  schedule_tick();
}

}  // namespace millrace::signalr
