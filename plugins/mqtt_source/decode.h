#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "plugins/mqtt_source/topic.h"
#include "runner/config/event_time.h"
#include "runner/stage/context.h"
#include "runner/stage/json.h"
#include "runner/stage/record.h"

namespace millrace::mqtt_source {

/// A message as it lies in the inbox or the queue.
struct Incoming {
  std::string_view topic;
  std::string_view payload;
  Time arrival{};
  bool backlog = false;  ///< may have waited at the broker
  std::uint64_t sequence = 0;
  bool oversize = false;  ///< the payload is an Oversize
};

/// Makes records of messages: fields from the JSON payload, an object or a list of objects; device from the topic or a field;
/// event time from a field; topic and named levels of it in meta.
class MessageDecoder {
 public:
  struct Rules {
    std::optional<TopicTemplate> device_topic;
    config::DeviceField device_field;
    config::EventTime time;
    Duration catch_up{};
    std::uint32_t source = 0;
    std::uint64_t payload_limit = 0;  ///< for what is said of those that are larger
  };

  MessageDecoder(Rules rules, const Context& context);

  /// To be called before the first message of a new batch.
  void begin_batch() { topic_ = {}; }

  /// Appends the message's records, or puts the message into the dead letters.
  void append(Batch& batch, const Incoming& message);

  /// Once after a backlog has been worked off: what comes now is live.
  bool caught_up() { return std::exchange(caught_up_, false); }

 private:
  void reject(const Incoming& message, const Error& error);
  void keep_topic(Arena& arena, std::string_view topic);
  void complete(Record& record, Arena& arena, const Incoming& message);
  Time arrival_of(const Incoming& message, Time event_time);

  const Rules rules_;
  const Context context_;
  Counter& no_device_;
  Counter& no_time_;
  JsonDecoder json_;

  // Of the batch at hand, in its arena: messages of one topic often follow each other.
  std::string_view topic_;
  std::string_view device_;
  std::vector<std::pair<std::string_view, std::string_view>> levels_;

  Time last_arrival_{};
  std::optional<Time> backlog_since_;
  bool caught_up_ = false;
};

}  // namespace millrace::mqtt_source
