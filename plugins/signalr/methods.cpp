#include "plugins/signalr/methods.h"

#include <algorithm>
#include <optional>

#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

constexpr std::size_t most_groups = 1000;  ///< a connection may be in
constexpr std::size_t longest_name = 1024;

/// `lists` is how deep lists may still nest.
bool add_groups(const json& argument, int lists, std::vector<std::string>& groups) {
  if (argument.is_array()) {
    if (lists == 0) return false;
    return std::all_of(argument.begin(), argument.end(), [&](const json& item) { return add_groups(item, lists - 1, groups); });
  }
  if (!argument.is_string()) return false;
  const auto& name = argument.get_ref<const std::string&>();
  if (name.empty() || name.size() > longest_name || groups.size() >= most_groups) return false;
  groups.push_back(name.starts_with("device:") ? name : device_group(name));
  return true;
}

/// The groups that a call names; answers the call with an error if it does so wrongly.
std::optional<std::vector<std::string>> groups_of(Call& call, bool at_least_one) {
  std::vector<std::string> groups;
  if (add_groups(call.arguments, 2, groups) && (!groups.empty() || !at_least_one)) return groups;
  call.fail("Expected device ids, or groups such as 'device:porch': up to 1000, each a text of 1 to 1024 bytes.");
  return std::nullopt;
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
    auto groups = groups_of(call, false);
    if (groups) call.result_list(hub.latest(*groups));
  });
}

}  // namespace millrace::signalr
