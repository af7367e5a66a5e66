#include "plugins/signalr/publication.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <tuple>

#include "plugins/signalr/messagepack.h"
#include "runner/stage/json.h"

namespace millrace::signalr {
namespace {

constexpr std::string_view group_prefix = "device:";

std::uint64_t draw_key() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
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

std::uint64_t series_id(std::string_view target, std::string_view device, const FieldList& fields) {
  static const std::uint64_t key = draw_key();
  std::uint64_t names = fields.size();
  for (const Field& field : fields) names += hash(field.name, key);  // a sum, as the order does not count
  return mix(mix(hash(device, key), hash(target, ~key)), names);
}

Publication::Publication(const Batch& batch, std::string_view target) {
  targets_.emplace_back(target);
  items_.reserve(batch.size());
  for (const Record& record : batch.records)
    if (record.kind != kind::notification) add(record);
}

std::uint32_t Publication::target_index(std::string_view name) {
  auto found = std::find(targets_.begin(), targets_.end(), name);
  if (found == targets_.end()) found = targets_.emplace(targets_.end(), name);
  return static_cast<std::uint32_t>(found - targets_.begin());
}

std::pair<std::uint32_t, std::uint32_t> Publication::add_group(std::string_view device) {
  auto at = static_cast<std::uint32_t>(text_.size());
  text_.append(group_prefix).append(device);
  return {at, static_cast<std::uint32_t>(text_.size()) - at};
}

void Publication::add(const Record& record) {
  Item& item = items_.emplace_back();
  item.telemetry = record.kind == kind::telemetry;
  bool alert = record.kind == kind::alert;
  if (!item.telemetry) item.target = target_index(record.kind);

  item.json = static_cast<std::uint32_t>(text_.size());
  if (alert) {
    append_json(text_, record.fields.view());
  } else {
    append_json_record(text_, record);
  }
  item.json_size = static_cast<std::uint32_t>(text_.size()) - item.json;
  if (alert) {
    messagepack::append(text_, record.fields.view());
  } else {
    messagepack::append_record(text_, record);
  }
  item.messagepack_size = static_cast<std::uint32_t>(text_.size()) - item.json - item.json_size;

  std::tie(item.group, item.group_size) = add_group(record.device);
  if (item.telemetry) item.series = series_id(targets_.front(), record.device, record.fields);
  const Value* key = alert ? record.fields.find("key") : nullptr;
  if (key && key->type() == Type::string && key->as_text() != record.device)
    std::tie(item.other, item.other_size) = add_group(key->as_text());
}

}  // namespace millrace::signalr
