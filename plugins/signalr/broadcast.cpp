// What the hub does with what is published: who gets it, as what.

#include <algorithm>

#include "plugins/signalr/frames.h"
#include "plugins/signalr/hub.h"

namespace millrace::signalr {

/// Frames of the same records, made for a protocol when its first client is met.
class Hub::Frames {
 public:
  Frames(Hub& hub, const std::vector<Shown>& shown) : hub_(hub), shown_(shown) {}

  void send_to(Connection& connection) {
    const Protocol& protocol = *connection.protocol();
    for (const SharedFrame& frame : made_.of(protocol, [&] { return make(protocol); })) connection.send(frame);
  }

 private:
  std::vector<SharedFrame> make(const Protocol& protocol) const {
    std::vector<SharedFrame> frames;
    std::vector<Encoded> records;
    for (std::size_t begin = 0; begin < shown_.size();) {
      const Channel& channel = shown_[begin].channel();
      auto frame = std::make_shared<Frame>();
      std::size_t bytes = 0, end = begin;
      records.clear();
      for (; end < shown_.size() && alike(shown_[end].channel(), channel); ++end) {
        const Encoded& record = shown_[end].record;
        if (!records.empty() && bytes + record.json.size() > hub_.frame_limit_) break;
        bytes += record.json.size() + 1;
        records.push_back(record);
        frame->series.push_back(shown_[end].place);
      }
      append_shaped(*frame, protocol, channel.target, channel.shape, records);
      frame->records = static_cast<std::uint32_t>(records.size());
      hub_.counters_.frames.add();
      frames.push_back(std::move(frame));
      begin = end;
    }
    return frames;
  }

  static bool alike(const Channel& a, const Channel& b) { return &a == &b || (a.target == b.target && a.shape == b.shape); }

  Hub& hub_;
  const std::vector<Shown>& shown_;
  OfEachProtocol<std::vector<SharedFrame>> made_;
};

/// A turn takes place on the thread that publishes while turns are shorter than this: waking the listener's would take as long
/// as some of them. With more clients to write to, the two threads do more beside each other.
constexpr std::chrono::microseconds brief_turn(200);

void Hub::turn() {
  now_ = Clock::now();
  in_turn_ = true;
  auto publications = handover_->take();
  std::vector<Shown> telemetry, events;
  for (const auto& publication : publications) take(*publication, telemetry, events);
  std::string stamped;
  number(telemetry, stamped);
  if (!telemetry.empty()) broadcast_telemetry(telemetry);
  for (const Shown& event : events) broadcast_event(event);
  for (const auto& publication : publications)
    for (const Directed& directed : publication->messages()) act(directed);
  in_turn_ = false;  // what the flush touches is flushed in a task of its own
  flush_touched();
  breath_.turned(now_, Clock::now());
  *brief_turns_ = breath_.last_turn() < brief_turn;
}

void Hub::take(const Publication& publication, std::vector<Shown>& telemetry, std::vector<Shown>& events) {
  for (const Item& item : publication.items()) {
    Shown shown{.publication = &publication, .item = &item, .place = Latest::none, .record = publication.record(item)};
    (item.telemetry ? telemetry : events).push_back(shown);
  }
}

/// Gives every record its number in its series, written into `stamped`, and keeps it.
void Hub::number(std::vector<Shown>& telemetry, std::string& stamped) {
  struct Place {
    std::size_t at, json_size, end;
  };
  std::vector<Place> places;
  std::vector<std::uint64_t> numbers;
  places.reserve(telemetry.size());
  numbers.reserve(telemetry.size());
  std::size_t bytes = 0;
  for (const Shown& shown : telemetry) bytes += shown.record.json.size() + shown.record.messagepack.size() + 80;
  stamped.reserve(bytes);
  for (Shown& shown : telemetry) {
    auto counted = latest_.count({.id = shown.item->series,
                                  .channel = shown.channel(),
                                  .group = shown.group(),
                                  .names = shown.item->names,
                                  .kinship = shown.item->kinship});
    shown.place = counted.place;
    if (counted.evicted) {
      counters_.evicted.add();
      history_.forget(counted.place);
      for (const auto& connection : connections_) connection->queue_.owed().remove(counted.place);
    }
    Place place{.at = stamped.size(), .json_size = 0, .end = 0};
    if (shown.item->stamped) place.json_size = append_stamped(stamped, shown.record, counted.seq, epoch_);
    place.end = stamped.size();
    places.push_back(place);
    numbers.push_back(counted.seq);
  }
  for (std::size_t i = 0; i < telemetry.size(); ++i) {
    Shown& shown = telemetry[i];
    if (shown.item->stamped) {
      std::string_view text = std::string_view(stamped).substr(places[i].at, places[i].end - places[i].at);
      shown.record = {text.substr(0, places[i].json_size), text.substr(places[i].json_size)};
    }
    latest_.store(shown.place, shown.record);
    history_.keep(shown.place, numbers[i], shown.record, now_);
  }
}

void Hub::broadcast_telemetry(const std::vector<Shown>& shown) {
  auto for_interested = [](const Shown& one) { return one.channel().audience.reach == Reach::interested; };
  if (std::all_of(shown.begin(), shown.end(), for_interested)) return broadcast_interesting(shown);

  std::vector<Shown> interesting;
  std::map<std::string, std::vector<Shown>> addressed;
  for (const Shown& one : shown) {
    if (for_interested(one)) {
      interesting.push_back(one);
    } else {
      addressed[Channel{.target = {}, .audience = one.channel().audience}.key()].push_back(one);
    }
  }
  if (!interesting.empty()) broadcast_interesting(interesting);
  for (const auto& [key, records] : addressed) {
    Frames frames(*this, records);
    for (Connection* member : members(records.front().channel().audience)) frames.send_to(*member);
  }
}

void Hub::broadcast_interesting(const std::vector<Shown>& shown) {
  Frames for_all(*this, shown);
  for (const auto& connection : connections_)
    if (!connection->selective() && !connection->scope_ && connection->protocol()) for_all.send_to(*connection);

  for (auto& [patterns, scope] : scopes_) {
    if (scope.members.empty()) continue;
    std::vector<Shown> covered;
    for (const Shown& one : shown)
      if (scope.covers(one.group())) covered.push_back(one);
    if (covered.empty()) continue;
    Frames frames(*this, covered);
    for (Connection* member : scope.members)
      if (member->protocol()) frames.send_to(*member);
  }

  if (groups_.empty()) return;
  std::unordered_map<std::string_view, std::vector<Shown>> by_group;
  for (const Shown& one : shown) by_group[one.group()].push_back(one);
  for (const auto& [name, of_group] : by_group) {
    auto group = groups_.find(name);
    if (group == groups_.end()) continue;
    Frames frames(*this, of_group);
    for (Connection* member : group->second.members)
      if (member->selective() && member->protocol()) frames.send_to(*member);
  }
}

void Hub::broadcast_event(const Shown& shown) {
  const Channel& channel = shown.channel();
  OfEachProtocol<SharedFrame> frames;
  auto send = [&](Connection& connection) {
    const Protocol& protocol = *connection.protocol();
    connection.send(frames.of(protocol, [&] {
      auto frame = std::make_shared<Frame>();
      Shape shape = channel.shape == Shape::list ? Shape::object : channel.shape;
      append_shaped(*frame, protocol, channel.target, shape, std::span(&shown.record, 1));
      frame->records = 1;
      counters_.frames.add();
      return frame;
    }));
  };
  if (channel.audience.reach != Reach::interested) {
    for (Connection* member : members(channel.audience)) send(*member);
    return;
  }

  std::string_view first = shown.group(), other = shown.publication->other(*shown.item);
  for (const auto& connection : connections_) {
    if (connection->selective() || !connection->protocol()) continue;
    if (connection->may_see(first) || (!other.empty() && connection->may_see(other))) send(*connection);
  }
  if (auto group = groups_.find(first); group != groups_.end())
    for (Connection* member : group->second.members)
      if (member->selective() && member->protocol()) send(*member);
  if (auto group = other.empty() ? groups_.end() : groups_.find(other); group != groups_.end())
    for (Connection* member : group->second.members)
      if (member->selective() && member->protocol() && !member->in_group(first)) send(*member);
}

std::vector<Connection*> Hub::members(const Audience& audience) const {
  std::vector<Connection*> found;
  auto add = [&](Connection* connection) {
    if (connection->protocol() && !connection->gone() && !audience.excepts(connection->id())) found.push_back(connection);
  };
  switch (audience.reach) {
    case Reach::interested:
    case Reach::all:
      for (const auto& connection : connections_) add(connection.get());
      break;
    case Reach::group:
      if (auto group = groups_.find(audience.name); group != groups_.end())
        for (Connection* member : group->second.members) add(member);
      break;
    case Reach::user:
      if (auto user = by_user_.find(audience.name); user != by_user_.end())
        for (Connection* connection : user->second) add(connection);
      break;
    case Reach::connection:
      if (auto one = by_id_.find(audience.name); one != by_id_.end()) add(one->second);
      break;
  }
  return found;
}

std::vector<std::shared_ptr<Connection>> Hub::audience(const Audience& audience) const {
  std::vector<std::shared_ptr<Connection>> found;
  for (Connection* connection : members(audience)) found.push_back(connection->shared_from_this());
  return found;
}

CallFrames Hub::frames_of_call(std::string_view target, const nlohmann::json& arguments) {
  return {target, arguments, counters_.frames};
}

std::size_t Hub::send(const Audience& audience, std::string_view target, const nlohmann::json& arguments) {
  CallFrames frames = frames_of_call(target, arguments);
  auto all = members(audience);
  for (Connection* connection : all) connection->send(frames.of(*connection->protocol()));
  return all.size();
}

void Hub::act(const Directed& directed) {
  if (directed.action == Directed::Action::send) {
    send(directed.audience, directed.target, directed.arguments);
    return;
  }
  bool user = directed.audience.reach == Reach::user;
  const std::string& name = directed.audience.name;
  auto connection = user ? nullptr : find(name);
  switch (directed.action) {
    case Directed::Action::send: return;
    case Directed::Action::add_to_group:
      if (user && !join_user(name, directed.group, Clock::time_point::max())) counters_.dropped.add();
      if (connection) join(*connection, directed.group);
      return;
    case Directed::Action::remove_from_group:
      if (user) part_user(name, directed.group);
      if (connection) part(*connection, directed.group);
      return;
    case Directed::Action::remove_from_all_groups:
      if (user) part_user(name);
      if (connection)
        for (const std::string& group : std::vector(connection->groups())) part(*connection, group);
      return;
  }
}

bool Hub::wants(const Connection& connection, const Latest::Series& series) const {
  if (series.channel.audience.reach != Reach::interested) return may_see(connection, series);
  return connection.selective() ? connection.in_group(series.group) : connection.may_see(series.group);
}

bool Hub::may_see(const Connection& connection, const Latest::Series& series) const {
  const Audience& audience = series.channel.audience;
  if (audience.excepts(connection.id())) return false;
  switch (audience.reach) {
    case Reach::interested: return connection.may_see(series.group) || connection.in_group(series.group);
    case Reach::all: return true;
    case Reach::group: return connection.in_group(audience.name);
    case Reach::user: return connection.identity().user == audience.name;
    case Reach::connection: return connection.id() == audience.name;
  }
  return false;
}

void Hub::owe_all(Connection& connection) {
  for (std::uint32_t place = 0; place < latest_.size(); ++place)
    if (wants(connection, latest_.at(place))) connection.queue_.owed().add(place);
}

/// Makes the next frame of what a client is owed. It has no more than one target, and need not be sent if there was nothing for
/// this client after all. What is owed of a device goes out in the order in which it came: later values of a field behind
/// earlier ones, whichever series they are of.
void Hub::pay(Connection& connection) {
  Owed& owed = connection.queue_.owed();
  auto frame = std::make_shared<Frame>();
  std::vector<Encoded> records;
  const Channel* channel = nullptr;
  std::size_t bytes = 0;
  bool full = false;
  while (!owed.empty() && !full) {
    latest_.visit_kin(owed.next(), [&](std::uint32_t place) {
      if (full || !owed.has(place)) return;
      const Latest::Series& series = latest_.at(place);
      bool wanted = wants(connection, series);
      bool alike = !channel || (channel->target == series.channel.target && channel->shape == series.channel.shape);
      full = wanted && !records.empty() && (!alike || bytes + series.json.size() > frame_limit_);
      if (full) return;
      owed.remove(place);
      if (!wanted) return;
      channel = &series.channel;
      bytes += series.json.size() + 1;
      records.push_back(series.record());
      frame->series.push_back(place);
    });
  }
  if (records.empty()) return;
  append_shaped(*frame, *connection.protocol(), channel->target, channel->shape, records);
  frame->records = static_cast<std::uint32_t>(records.size());
  counters_.frames.add();
  connection.queue_.push_owed(std::move(frame));
}

std::vector<Encoded> Hub::latest(const Connection& connection, const std::vector<std::string>& groups) const {
  std::vector<Encoded> records;
  const Names names(groups.begin(), groups.end());
  for (std::uint32_t place = 0; place < latest_.size(); ++place) {
    const Latest::Series& series = latest_.at(place);
    if (!names.empty() && !names.contains(series.group)) continue;
    if (may_see(connection, series)) records.push_back(series.record());
  }
  return records;
}

std::vector<const Connection*> Hub::present() const {
  std::vector<const Connection*> found;
  for (const auto& connection : connections_)
    if (connection->protocol() && !connection->gone()) found.push_back(connection.get());
  return found;
}

std::vector<const Connection*> Hub::present(const std::vector<std::string>& groups) const {
  std::unordered_set<const Connection*> found;
  for (const std::string& name : groups) {
    auto group = groups_.find(name);
    if (group == groups_.end()) continue;
    for (const Connection* member : group->second.members)
      if (member->protocol() && !member->gone()) found.insert(member);
  }
  return {found.begin(), found.end()};
}

}  // namespace millrace::signalr
