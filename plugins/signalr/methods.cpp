#include "plugins/signalr/methods.h"

#include <algorithm>
#include <map>
#include <optional>

#include "plugins/signalr/hub.h"
#include "plugins/signalr/recovery.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

constexpr std::size_t most_groups = 1000;  ///< a connection may be in
constexpr std::size_t longest_name = 1024;
constexpr std::size_t most_users = 1000;  ///< named in one answer

/// `lists` is how deep lists may still nest.
bool add_groups(const json& argument, int lists, std::vector<std::string>& groups) {
  if (argument.is_array()) {
    if (lists == 0) return false;
    return std::all_of(argument.begin(), argument.end(), [&](const json& item) { return add_groups(item, lists - 1, groups); });
  }
  bool literally = argument.is_object() && argument.size() == 1 && argument.contains("group");
  const json& text = literally ? argument["group"] : argument;
  if (!text.is_string()) return false;
  const auto& name = text.get_ref<const std::string&>();
  if (name.empty() || name.size() > longest_name || groups.size() >= most_groups) return false;
  groups.push_back(literally || is_device_group(name) ? name : device_group(name));
  return true;
}

/// The groups that a call names; answers the call with an error if it does so wrongly.
std::optional<std::vector<std::string>> groups_of(Call& call, bool at_least_one) {
  std::vector<std::string> groups;
  if (add_groups(call.arguments, 2, groups) && (!groups.empty() || !at_least_one)) return groups;
  call.fail(
      "Expected device ids, or groups such as 'device:porch' or {group: 'yard'}: up to 1000, each a text of 1 to 1024 bytes.");
  return std::nullopt;
}

void renew(Hub& hub, Call call) {
  auto caller = call.caller();
  if (!caller) return;
  bool text = call.arguments.size() == 1 && call.arguments[0].is_string();
  if (!text || !hub.renew(*caller, call.arguments[0].get_ref<const std::string&>()))
    return call.fail("This token does not renew this connection.");
  call.result(to_whole_millis(*caller->identity().expires));
}

/// A group is asked for by its name. One that the caller may not join is as empty as one that does not exist.
void presence(const Hub& hub, Call call) {
  auto caller = call.caller();
  auto groups = groups_of(call, false);
  if (!caller || !groups) return;
  bool all = groups->empty();
  std::erase_if(*groups, [&](const std::string& group) { return !caller->identity().may_join(group); });
  auto present = all ? hub.present() : hub.present(*groups);
  std::map<std::string, std::size_t> users;
  for (const Connection* one : present) {
    const std::string& user = one->identity().user;
    if (!user.empty() && (users.size() < most_users || users.contains(user))) ++users[user];
  }
  json listed = json::array();
  for (const auto& [user, count] : users) listed.push_back({{"user", user}, {"connections", count}});
  call.result({{"connections", present.size()}, {"users", std::move(listed)}});
}

std::optional<Seen> read_seen(const json& arguments) {
  if (arguments.empty() || arguments.size() > 2) return std::nullopt;
  const json& first = arguments[0];
  auto text = [](const json& from, const char* name) {
    auto found = from.find(name);
    return found != from.end() && found->is_string() ? found->get<std::string>() : std::string{};
  };
  Seen read;
  if (first.is_object() && arguments.size() == 1) {
    read = {.key = text(first, "key"), .rule = text(first, "rule")};
  } else if (first.is_string()) {
    read.key = first.get<std::string>();
    if (arguments.size() == 2 && !arguments[1].is_null() && !arguments[1].is_string()) return std::nullopt;
    if (arguments.size() == 2 && arguments[1].is_string()) read.rule = arguments[1].get<std::string>();
  }
  if (read.key.empty()) return std::nullopt;
  return read;
}

}  // namespace

void add_telemetry_methods(Hub& hub) {
  hub.method("Subscribe", [&hub](Call call) {
    auto caller = call.caller();
    auto groups = groups_of(call, true);
    if (!caller || !groups) return;
    if (caller->groups().size() + groups->size() > most_groups) return call.fail("A connection may be in 1000 groups at most.");
    hub.subscribe(*caller, *groups);
  });
  hub.method("Unsubscribe", [&hub](Call call) {
    auto caller = call.caller();
    auto groups = groups_of(call, true);
    if (caller && groups) hub.unsubscribe(*caller, *groups);
  });
  hub.method("Latest", [&hub](Call call) {
    auto caller = call.caller();
    auto groups = groups_of(call, false);
    if (caller && groups) call.result_list(hub.latest(*caller, *groups));
  });
  hub.method("Renew", [&hub](Call call) { renew(hub, std::move(call)); });
  hub.method("Presence", [&hub](Call call) { presence(hub, std::move(call)); });
  add_recovery_methods(hub);
}

void add_alert_methods(Hub& hub, Acknowledge acknowledge) {
  hub.method("AckAlert", [&hub, acknowledge = std::move(acknowledge)](Call call) {
    auto caller = call.caller();
    auto seen = read_seen(call.arguments);
    if (!caller) return;
    if (!seen) return call.fail("Expected the alert's key and, to mean one rule only, the rule; or the alert.");
    // Of a device that they may not see it is as if nothing were open.
    if (!caller->identity().may_join("device:" + seen->key)) return;
    const std::string& user = caller->identity().user;
    seen->by = user.empty() ? "a client of the hub" : user;
    auto kept = std::make_shared<Call>(std::move(call));
    // Whoever answers, on whatever thread, the call ends where its connection lives.
    auto done = [kept = std::make_shared<std::shared_ptr<Call>>(std::move(kept)),
                 loop = hub.shared_loop()](Result<void> result) {
      loop->post([call = std::move(*kept), result = std::move(result)] {
        if (!result) call->fail(result.error().what);
      });
    };
    acknowledge(std::move(*seen), std::move(done));
  });
  hub.require("AckAlert", http::Right::ack);
}

}  // namespace millrace::signalr
