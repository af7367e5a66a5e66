// Who is on the hub, in which groups, by whose token and until when.

#include <algorithm>

#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

constexpr std::size_t most_user_groups = 100;  ///< kept for a user's connections to come, the newest
constexpr std::size_t most_users = 10'000;     ///< for whom any are

}  // namespace

Hub::Clock::time_point Hub::steady(millrace::Time time) const {
  constexpr Duration far = 24h * 36'500;
  return now_ + std::clamp<Duration>(time - access_->now(), Duration(0), far);
}

void Hub::give(Connection& connection, Grant grant) {
  connection.identity_ = std::move(grant.identity);
  connection.ends_ = grant.ends;
  connection.share_ = std::move(grant.share);
  by_id_[connection.id()] = &connection;
  const std::string& user = connection.identity_.user;
  if (user.empty()) return rescope(connection);
  by_user_[user].push_back(&connection);
  rescope(connection);
  auto groups = user_groups_.find(user);
  if (groups == user_groups_.end()) return;
  std::erase_if(groups->second, [this](const auto& one) { return one.second <= now_; });
  for (const auto& [group, until] : groups->second) join(connection, group);
}

void Hub::leave_scope(Connection& connection) {
  Scope* scope = std::exchange(connection.scope_, nullptr);
  if (!scope) return;
  std::erase(scope->members, &connection);
  if (--scope->users == 0) std::erase_if(scopes_, [&](const auto& one) { return &one.second == scope; });
}

/// Puts a connection that may not see everything to those who may see the same, and, if it has not subscribed, to their
/// audience.
void Hub::rescope(Connection& connection) {
  leave_scope(connection);
  if (connection.identity_.any_group()) return;
  auto patterns = connection.identity_.groups;
  std::sort(patterns.begin(), patterns.end());
  connection.scope_ = &scopes_.try_emplace(patterns, patterns).first->second;
  ++connection.scope_->users;
  if (!connection.selective_) connection.scope_->members.push_back(&connection);
}

/// Takes a connection that has ended out of every list but that of connections.
void Hub::withdraw(Connection& connection) {
  for (const std::string& group : connection.groups_) leave(connection, group);
  forget_token(connection);
  by_id_.erase(connection.id());
  if (auto user = by_user_.find(connection.identity_.user); user != by_user_.end()) {
    std::erase(user->second, &connection);
    if (user->second.empty()) by_user_.erase(user);
  }
  connection.selective_ = true;
  leave_scope(connection);
  connection.share_ = nullptr;
}

/// So that the client does not try to go on with what has ended. One that polls fetches the Close by its token, and nothing
/// else.
void Hub::revoke_token(Connection& connection) {
  if (connection.transport_->framing() != Framing::body) forget_token(connection);
}

void Hub::expire(Connection& connection) {
  revoke_token(connection);
  connection.close(End::expired, {}, true);
}

void Hub::expel(Connection& connection, std::string_view reason) {
  revoke_token(connection);
  connection.close(End::expelled, reason, false);
}

bool Hub::renew(Connection& connection, std::string_view token) {
  auto verified = access_->verify(token, options_.path);
  if (!verified || verified->user != connection.identity_.user || !verified->may(http::Right::read)) return false;
  now_ = Clock::now();
  connection.ends_ = steady(*verified->expires);
  connection.identity_ = std::move(*verified);
  for (const std::string& group : std::vector(connection.groups_))
    if (connection.asked_.contains(group) && !connection.identity_.may_join(group)) part(connection, group);
  rescope(connection);
  return true;
}

void Hub::subscribe(Connection& connection, const std::vector<std::string>& groups) {
  // Who has had everything so far is up to date; who joins one more group is owed its latest.
  bool had_everything = !connection.selective_;
  if (had_everything && std::any_of(groups.begin(), groups.end(), is_device_group)) {
    connection.selective_ = true;
    rescope(connection);
  }
  Names owed;
  for (const std::string& name : groups) {
    if (!connection.identity_.may_join(name)) continue;
    connection.asked_.insert(name);
    if (connection.in_group(name)) continue;
    connection.groups_.push_back(name);
    groups_[name].members.push_back(&connection);
    if (!had_everything || !is_device_group(name)) owed.insert(name);
  }
  owe_groups(connection, owed);
  touch(connection);
}

void Hub::unsubscribe(Connection& connection, const std::vector<std::string>& groups) {
  for (const std::string& name : groups) part(connection, name);
}

void Hub::join(Connection& connection, const std::string& name) {
  if (connection.in_group(name)) return;
  connection.groups_.push_back(name);
  groups_[name].members.push_back(&connection);
  owe_groups(connection, {name});
  touch(connection);
}

void Hub::part(Connection& connection, const std::string& name) {
  connection.asked_.erase(name);
  if (std::erase(connection.groups_, name) > 0) leave(connection, name);
}

void Hub::leave(Connection& connection, const std::string& name) {
  auto group = groups_.find(name);
  if (group == groups_.end()) return;
  std::erase(group->second.members, &connection);
  if (group->second.members.empty()) groups_.erase(group);
}

/// The latest of what is for these groups' members.
void Hub::owe_groups(Connection& connection, const Names& names) {
  if (names.empty()) return;
  for (std::uint32_t place = 0; place < latest_.size(); ++place) {
    const Latest::Series& series = latest_.at(place);
    const Audience& audience = series.channel.audience;
    bool concerned = audience.reach == Reach::interested ? connection.selective_ && names.contains(series.group)
                                                         : audience.reach == Reach::group && names.contains(audience.name);
    if (concerned) connection.queue_.owed().add(place);
  }
}

bool Hub::join_user(const std::string& user, const std::string& group, std::optional<Clock::time_point> until) {
  if (auto here = by_user_.find(user); here != by_user_.end())
    for (Connection* connection : here->second) join(*connection, group);
  if (!until) return true;
  if (!user_groups_.contains(user) && user_groups_.size() >= most_users) {
    auto lapsed = [this](const auto& one) { return one.second <= now_; };
    std::erase_if(user_groups_, [&](const auto& kept) { return std::all_of(kept.second.begin(), kept.second.end(), lapsed); });
    if (user_groups_.size() >= most_users) return false;
  }
  UserGroups& groups = user_groups_[user];
  std::erase_if(groups, [&](const auto& one) { return one.first == group || one.second <= now_; });
  if (groups.size() >= most_user_groups) groups.erase(groups.begin());
  groups.emplace_back(group, *until);
  return true;
}

void Hub::part_user(const std::string& user, const std::string& group) {
  if (auto here = by_user_.find(user); here != by_user_.end())
    for (Connection* connection : here->second) part(*connection, group);
  auto kept = user_groups_.find(user);
  if (kept == user_groups_.end()) return;
  std::erase_if(kept->second, [&](const auto& one) { return one.first == group; });
  if (kept->second.empty()) user_groups_.erase(kept);
}

void Hub::part_user(const std::string& user) {
  user_groups_.erase(user);
  auto here = by_user_.find(user);
  if (here == by_user_.end()) return;
  for (Connection* connection : here->second)
    for (const std::string& group : std::vector(connection->groups_)) part(*connection, group);
}

bool Hub::user_in_group(const std::string& user, const std::string& group) const {
  auto here = by_user_.find(user);
  if (here != by_user_.end() &&
      std::any_of(here->second.begin(), here->second.end(), [&](const auto* one) { return one->in_group(group); }))
    return true;
  auto kept = user_groups_.find(user);
  return kept != user_groups_.end() && std::any_of(kept->second.begin(), kept->second.end(),
                                                   [&](const auto& one) { return one.first == group && one.second > now_; });
}

std::shared_ptr<Connection> Hub::find(std::string_view id) const {
  auto found = by_id_.find(id);
  return found == by_id_.end() || found->second->gone() ? nullptr : found->second->shared_from_this();
}

}  // namespace millrace::signalr
