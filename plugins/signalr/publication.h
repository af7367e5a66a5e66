#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plugins/signalr/audience.h"
#include "plugins/signalr/encoded.h"
#include "runner/stage/record.h"

namespace millrace::signalr {

/// How a stage's records go out.
struct Outlet {
  std::string target = "telemetry";  ///< of telemetry; alerts go to "alert", other kinds to a target of the kind's name
  Shape shape = Shape::list;
  bool envelope = true;  ///< telemetry as {"device","time","fields","seq","epoch"}; else its fields alone
  std::optional<Addressing> to = {};
  bool messages = false;  ///< each record's fields are a message and say themselves where it goes
};

/// A message that a record itself is: what Azure Functions' SignalR output takes, so that its scripts move here as they are.
/// {"target", "arguments", "connectionId"? , "userId"?, "groupName"?} is sent to the first of these three that is there, or to
/// all; {"action": "add" | "remove" | "removeAll", "groupName", "connectionId"? | "userId"?} changes who is in a group.
struct Directed {
  enum class Action : std::uint8_t { send, add_to_group, remove_from_group, remove_from_all_groups };

  Action action = Action::send;
  Audience audience;
  std::string target;
  nlohmann::json arguments = nlohmann::json::array();
  std::string group;  ///< of an action
};

/// Reads a record as such a message; rejected with what it lacks.
Result<Directed> read_directed(const Record& record);

/// A batch made ready for the hub on the pipeline's thread: every record serialised once for each hub protocol, with what
/// decides who gets it. Never changes afterwards.
class Publication {
 public:
  struct Item {
    std::uint64_t series = 0;   ///< channel, device and set of field names; of telemetry only
    std::uint64_t kinship = 0;  ///< channel and device
    std::uint64_t names = 0;    ///< of the field names alone
    std::uint32_t json = 0;     ///< where its JSON begins
    std::uint32_t json_size = 0;
    std::uint32_t messagepack_size = 0;  ///< which follows the JSON
    std::uint32_t group = 0;             ///< where the group's name begins
    std::uint32_t group_size = 0;
    std::uint32_t other = 0;  ///< a second group, of an alert whose key is not its device; size 0: none
    std::uint32_t other_size = 0;
    std::uint32_t channel = 0;  ///< index of the channel
    bool telemetry = true;      ///< may be conflated
    bool stamped = false;       ///< takes its number in the series, see append_stamped()
  };

  /// Notifications are left out. Records that the outlet cannot address are only in rejected().
  Publication(const Batch& batch, const Outlet& outlet);
  Publication(const Batch& batch, std::string_view target) : Publication(batch, Outlet{.target = std::string(target)}) {}

  const std::vector<Item>& items() const { return items_; }
  const std::vector<Directed>& messages() const { return messages_; }
  bool empty() const { return items_.empty() && messages_.empty(); }

  Encoded record(const Item& item) const {
    std::string_view text(text_);
    return {text.substr(item.json, item.json_size), text.substr(item.json + item.json_size, item.messagepack_size)};
  }
  std::string_view group(const Item& item) const { return std::string_view(text_).substr(item.group, item.group_size); }
  std::string_view other(const Item& item) const { return std::string_view(text_).substr(item.other, item.other_size); }
  const Channel& channel(const Item& item) const { return channels_[item.channel]; }

  /// Records of the batch that go nowhere, by their place in it, and why.
  const std::vector<std::pair<std::size_t, Error>>& rejected() const { return rejected_; }

  std::size_t bytes() const { return text_.size() + items_.size() * sizeof(Item) + message_bytes_; }

 private:
  void add(const Record& record, std::uint32_t channel);
  Result<std::uint32_t> channel_of(const Record& record, const Outlet& outlet);
  std::uint32_t channel_index(Channel channel);
  void encode(const Record& record, Item& item, bool as_fields);
  std::pair<std::uint32_t, std::uint32_t> add_group(std::string_view device);

  std::string text_;
  std::vector<Channel> channels_;
  std::unordered_map<std::string, std::uint32_t> channel_keys_;
  std::vector<Item> items_;
  std::vector<Directed> messages_;
  std::size_t message_bytes_ = 0;
  std::vector<std::pair<std::size_t, Error>> rejected_;
  bool envelope_ = true;
};

/// Appends a record that takes a number, with "seq" and "epoch" behind its own members: its JSON, then its MessagePack. Returns
/// the size of the JSON.
std::size_t append_stamped(std::string& out, Encoded record, std::uint64_t seq, std::string_view epoch);

/// The group of a device's followers.
std::string device_group(std::string_view device);
bool is_device_group(std::string_view group);

/// Identifies what comes from one device on one channel. Keyed by a number drawn at start, so that no device can choose names
/// that meet another's.
std::uint64_t kinship_id(std::string_view channel, std::string_view device);

/// Identifies a series: the same for equal kinship and field names in any order.
std::uint64_t series_id(std::uint64_t kinship, std::uint64_t names);

/// Of a set of field names: the sum of name_id() of each, and how many.
std::uint64_t name_id(std::string_view name);
std::uint64_t names_id(const FieldList& fields);

}  // namespace millrace::signalr
