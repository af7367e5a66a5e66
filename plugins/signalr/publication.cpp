#include "plugins/signalr/publication.h"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <random>
#include <tuple>

#include "plugins/signalr/messagepack.h"
#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

constexpr std::string_view group_prefix = "device:";

/// Drawn at start.
std::uint64_t hash_key() {
  static const std::uint64_t key = [] {
    std::random_device device;
    return std::uint64_t{device()} << 32U | device();
  }();
  return key;
}

__extension__ using Wide = unsigned __int128;

std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  auto product = static_cast<Wide>(a ^ 0x9E3779B97F4A7C15ULL) * (b ^ 0xD6E8FEB86659FD93ULL);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

std::uint64_t hash(std::string_view text, std::uint64_t seed) {
  std::uint64_t state = mix(seed, text.size());
  while (!text.empty()) {
    std::uint64_t word = 0;
    std::size_t size = std::min(text.size(), sizeof word);
    std::memcpy(&word, text.data(), size);
    state = mix(state, word);
    text.remove_prefix(size);
  }
  return state;
}

}  // namespace

std::string device_group(std::string_view device) { return std::string(group_prefix).append(device); }

bool is_device_group(std::string_view group) { return group.starts_with(group_prefix); }

std::uint64_t name_id(std::string_view name) { return hash(name, hash_key()); }

std::uint64_t names_id(const FieldList& fields) {
  std::uint64_t names = fields.size();
  for (const Field& field : fields) names += name_id(field.name);  // a sum, as the order does not count
  return names;
}

std::uint64_t kinship_id(std::string_view channel, std::string_view device) {
  return mix(hash(device, hash_key()), hash(channel, ~hash_key()));
}

std::uint64_t series_id(std::uint64_t kinship, std::uint64_t names) { return mix(kinship, names); }

std::size_t append_stamped(std::string& out, Encoded record, std::uint64_t seq, std::string_view epoch) {
  constexpr char five_members = '\x85';
  assert(record.json.ends_with('}') && record.messagepack.starts_with('\x83') && "a record has three members");
  std::size_t begin = out.size();
  fmt::format_to(std::back_inserter(out), R"({},"seq":{},"epoch":"{}"}})", record.json.substr(0, record.json.size() - 1), seq,
                 epoch);
  std::size_t json_size = out.size() - begin;
  out += five_members;
  out += record.messagepack.substr(1);
  messagepack::append_string(out, "seq");
  messagepack::append_unsigned(out, seq);
  messagepack::append_string(out, "epoch");
  messagepack::append_string(out, epoch);
  return json_size;
}

namespace {

/// The text of a field; nothing if it is absent or null.
Result<std::optional<std::string>> text_member(const Record& record, std::string_view name) {
  const Value* value = record.fields.find(name);
  if (!value || value->type() == Type::null) return std::optional<std::string>{};
  if (value->type() != Type::string || value->as_text().empty() || value->as_text().size() > longest_group)
    return rejected(fmt::format("a message's '{}' must be a text of 1 to {} bytes", name, longest_group));
  return std::optional(std::string(value->as_text()));
}

Result<Directed::Action> read_action(std::string_view name) {
  if (name == "add") return Directed::Action::add_to_group;
  if (name == "remove") return Directed::Action::remove_from_group;
  if (name == "removeAll") return Directed::Action::remove_from_all_groups;
  return rejected(fmt::format("a message's 'action' is '{:.20}'; expected add, remove or removeAll", name));
}

Result<Directed> read_group_action(Directed directed, std::string_view action, const std::optional<std::string>& group) {
  auto read = read_action(action);
  if (!read) return read.error();
  directed.action = *read;
  if (directed.audience.reach != Reach::user && directed.audience.reach != Reach::connection)
    return rejected("a message with 'action' needs 'userId' or 'connectionId'");
  if (directed.action != Directed::Action::remove_from_all_groups && !group)
    return rejected("a message with 'action' needs 'groupName'");
  directed.group = group.value_or("");
  return directed;
}

}  // namespace

Result<Directed> read_directed(const Record& record) {
  constexpr std::string_view names[] = {"target", "action", "connectionId", "userId", "groupName"};
  std::optional<std::string> members[std::size(names)];
  for (std::size_t i = 0; i < std::size(names); ++i) {
    auto member = text_member(record, names[i]);
    if (!member) return member.error();
    members[i] = std::move(*member);
  }
  auto& [target, action, connection, user, group] = members;

  Directed directed;
  directed.audience.reach = Reach::all;
  if (connection) {
    directed.audience = {.reach = Reach::connection, .name = *connection};
  } else if (user) {
    directed.audience = {.reach = Reach::user, .name = *user};
  } else if (group && !action) {
    directed.audience = {.reach = Reach::group, .name = *group};
  }
  if (action) return read_group_action(std::move(directed), *action, group);
  if (!target) return rejected("a message needs 'target', the client method to call");
  directed.target = *target;

  const Value* arguments = record.fields.find("arguments");
  if (!arguments || arguments->type() != Type::list) return rejected("a message needs 'arguments', a list");
  std::string json;
  append_json(json, *arguments);
  directed.arguments = nlohmann::json::parse(json, nullptr, false);
  return directed;
}

Publication::Publication(const Batch& batch, const Outlet& outlet) : envelope_(outlet.envelope) {
  if (!outlet.to) channel_index({.target = outlet.target, .shape = outlet.shape});
  items_.reserve(outlet.messages ? 0 : batch.size());
  if (outlet.messages) message_bytes_ = batch.bytes();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const Record& record = batch.records[i];
    if (record.kind == kind::notification) continue;
    if (outlet.messages) {
      auto directed = read_directed(record);
      if (!directed) {
        rejected_.emplace_back(i, directed.error());
        continue;
      }
      messages_.push_back(std::move(*directed));
      continue;
    }
    auto channel = channel_of(record, outlet);
    if (channel) add(record, *channel);
    if (!channel) rejected_.emplace_back(i, channel.error());
  }
}

Result<std::uint32_t> Publication::channel_of(const Record& record, const Outlet& outlet) {
  bool telemetry = record.kind == kind::telemetry;
  if (telemetry && !outlet.to) return std::uint32_t{0};
  Channel channel{.target = telemetry ? outlet.target : std::string(record.kind), .shape = outlet.shape};
  if (outlet.to) {
    auto audience = outlet.to->of(record);
    if (!audience) return audience.error();
    channel.audience = std::move(*audience);
  }
  return channel_index(std::move(channel));
}

std::uint32_t Publication::channel_index(Channel channel) {
  auto [found, fresh] = channel_keys_.try_emplace(channel.key(), static_cast<std::uint32_t>(channels_.size()));
  if (fresh) channels_.push_back(std::move(channel));
  return found->second;
}

std::pair<std::uint32_t, std::uint32_t> Publication::add_group(std::string_view device) {
  auto at = static_cast<std::uint32_t>(text_.size());
  text_.append(group_prefix).append(device);
  return {at, static_cast<std::uint32_t>(text_.size()) - at};
}

void Publication::encode(const Record& record, Item& item, bool as_fields) {
  item.json = static_cast<std::uint32_t>(text_.size());
  if (as_fields) {
    append_json(text_, record.fields.view());
  } else {
    append_json_record(text_, record);
  }
  item.json_size = static_cast<std::uint32_t>(text_.size()) - item.json;
  if (as_fields) {
    messagepack::append(text_, record.fields.view());
  } else {
    messagepack::append_record(text_, record);
  }
  item.messagepack_size = static_cast<std::uint32_t>(text_.size()) - item.json - item.json_size;
}

void Publication::add(const Record& record, std::uint32_t channel) {
  Item& item = items_.emplace_back();
  item.telemetry = record.kind == kind::telemetry;
  item.stamped = item.telemetry && envelope_;
  item.channel = channel;
  bool alert = record.kind == kind::alert;
  encode(record, item, alert || (item.telemetry && !envelope_));

  std::tie(item.group, item.group_size) = add_group(record.device);
  if (item.telemetry) {
    item.names = names_id(record.fields);
    const Channel& to = channels_[channel];
    item.kinship = kinship_id(to.audience.reach == Reach::interested ? to.target : to.key(), record.device);
    item.series = series_id(item.kinship, item.names);
  }
  const Value* key = alert ? record.fields.find("key") : nullptr;
  if (key && key->type() == Type::string && key->as_text() != record.device)
    std::tie(item.other, item.other_size) = add_group(key->as_text());
}

}  // namespace millrace::signalr
