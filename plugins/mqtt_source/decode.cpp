#include "plugins/mqtt_source/decode.h"

#include <fmt/core.h>

#include <algorithm>

#include "plugins/mqtt_source/oversize.h"

namespace millrace::mqtt_source {
namespace {

/// A record whose event is at most this old is live. Less than what alert stages usually bear as lateness, so that what is as
/// old and still to come is not late for them.
constexpr Duration live{1s};

// Firmware in C tends to count the zero byte that ends its string.
std::string_view without_nul(std::string_view payload) {
  if (payload.ends_with('\0')) payload.remove_suffix(1);
  return payload;
}

bool is_utf8(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  Arena arena;
  return JsonDecoder({.depth = 1, .bytes = quoted.size()}).decode_value(quoted, arena).has_value();
}

}  // namespace

MessageDecoder::MessageDecoder(Rules rules, const Context& context)
    : rules_(std::move(rules)),
      context_(context),
      no_device_(context.counter("records_without_device")),
      no_time_(context.counter("records_without_time")) {}

void MessageDecoder::append(Batch& batch, const Incoming& message) {
  if (message.oversize) {
    Incoming beginning = message;
    Oversize cut = Oversize::unpack(message.payload);
    beginning.payload = cut.beginning;
    return reject(beginning, rejected(fmt::format("the payload has {} bytes, more than the {} that are taken; only its "
                                                  "beginning is kept",
                                                  cut.bytes, rules_.payload_limit)));
  }
  std::size_t first = batch.size();
  auto decoded = json_.decode(without_nul(message.payload), batch);
  if (!decoded) {
    reject(message, rejected(fmt::format("the payload is no JSON object, nor a list of objects: {}", decoded.error().what)));
    return;
  }
  keep_topic(batch.arena(), message.topic);
  for (std::size_t i = first; i < batch.size(); ++i) complete(batch.records[i], batch.arena(), message);
}

void MessageDecoder::reject(const Incoming& message, const Error& error) {
  Batch letter;
  Arena& arena = letter.arena();
  keep_topic(arena, message.topic);
  Record& record = letter.append();
  std::string_view payload = arena.copy(message.payload);
  record.fields.push(arena, "payload", is_utf8(payload) ? Value::string(payload) : Value::bytes(payload));
  record.device = device_;
  record.meta.push(arena, "topic", Value::string(topic_));
  record.time = record.arrival = message.arrival;
  record.source = rules_.source;
  record.sequence = message.sequence;
  context_.reject(record, error);
  topic_ = {};
}

void MessageDecoder::keep_topic(Arena& arena, std::string_view topic) {
  if (!topic_.empty() && topic == topic_) return;
  topic_ = arena.copy(topic);
  device_ = {};
  if (!rules_.device_topic) return;
  device_ = rules_.device_topic->match(topic_, levels_);
  for (auto& level : levels_) level.first = arena.copy(level.first);
}

void MessageDecoder::complete(Record& record, Arena& arena, const Incoming& message) {
  record.device = rules_.device_topic ? device_ : rules_.device_field.read(record, arena);
  if (record.device.empty()) no_device_.add();
  record.meta.reserve(arena, 1 + levels_.size());
  record.meta.push(arena, "topic", Value::string(topic_));
  for (const auto& [name, level] : levels_) record.meta.push(arena, name, Value::string(level));
  if (auto time = rules_.time.read(record)) {
    record.time = *time;
  } else {
    record.time = message.arrival;
    if (!rules_.time.field.empty()) no_time_.add();
  }
  record.arrival = arrival_of(message, record.time);
  record.source = rules_.source;
  record.sequence = message.sequence;
}

Time MessageDecoder::arrival_of(const Incoming& message, Time event_time) {
  Time arrival = message.arrival;
  if (message.backlog) {
    if (!backlog_since_) backlog_since_ = message.arrival;
    if (message.arrival - *backlog_since_ < rules_.catch_up)
      arrival = std::min(message.arrival, std::max(last_arrival_, event_time));
    bool over = message.arrival - event_time <= live || message.arrival - *backlog_since_ >= rules_.catch_up;
    if (over) backlog_since_.reset();
    caught_up_ |= over;
  }
  last_arrival_ = std::max(last_arrival_, arrival);
  return arrival;
}

}  // namespace millrace::mqtt_source
