#include "runner/config/plugin.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "plugins/mqtt_sink/topic_pattern.h"
#include "runner/mqtt/broker.h"
#include "runner/mqtt/connection.h"
#include "runner/stage/json.h"

namespace millrace {
namespace {

using mqtt_sink::TopicPattern;

/// Publishes each record as JSON. A batch is done when the broker has acknowledged all of it (QoS 1 and 2) or all is written to
/// the connection (QoS 0); on a lost connection the whole batch is published again. Its thread waits for the broker.
class MqttSink final : public Sink {
 public:
  struct Config : mqtt::Broker {
    std::string topic = "devices/{device}/messages/events/";
    int qos = 1;
    bool retain = false;
    bool envelope = false;
    std::size_t window = 256;

    static void describe(config::Fields<Config>& f);
  };

  MqttSink(Config config, Context context)
      : config_(std::move(config)), context_(std::move(context)), topic_(TopicPattern::parse(config_.topic).value()) {
    if (config_.client_id.empty()) config_.client_id = fmt::format("millrace-{}-{}", context_.pipeline(), context_.stage());
  }

  Result<void> connect() override {
    connection_.reset();
    mqtt::Connection::Handlers handlers;
    handlers.lost = [waker = context_.waker()] { waker.wake(); };
    connection_ = std::make_unique<mqtt::Connection>(config_, true, std::move(handlers));
    return connection_->open(context_.stop_token());
  }

  Result<void> write(const Batch& batch) override {
    for (const Record& record : batch.records)
      if (auto published = publish(record); !published) return published;
    return connection_->drain(context_.stop_token());
  }

  /// Woken when the connection breaks, so that it is there again before the next batch.
  Result<void> tick(Time) override {
    if (connection_ && connection_->lost()) return unavailable(fmt::format("lost the connection to {}", config_.broker));
    return {};
  }

 private:
  Result<void> publish(const Record& record) {
    name_.clear();
    if (auto filled = topic_.fill(record, name_); !filled) {
      context_.reject(record, filled.error());
      return {};
    }
    payload_.clear();
    if (config_.envelope)
      append_json_record(payload_, record, true);
    else
      append_json(payload_, record.fields.view());
    return connection_->publish(name_, payload_, config_.qos, config_.retain, window(), context_.stop_token());
  }

  // Mosquitto hangs up on a client with more QoS 2 messages under way than its max_inflight_messages, 20 unless configured.
  std::size_t window() const { return config_.qos == 2 ? std::min<std::size_t>(config_.window, 20) : config_.window; }

  Config config_;
  Context context_;
  const TopicPattern topic_;
  std::unique_ptr<mqtt::Connection> connection_;
  std::string name_;
  std::string payload_;
};

void MqttSink::Config::describe(config::Fields<Config>& f) {
  mqtt::describe_broker(f);
  f.field("topic", &Config::topic)
      .doc(
          "Where to publish; `{device}` stands for the record's device, any other `{name}` for a field of it (text, integer or "
          "bool).");
  f.field("qos", &Config::qos)
      .doc("0: written to the connection; 1: the broker has it; 2: the broker has it once.")
      .min(0)
      .max(2);
  f.field("retain", &Config::retain)
      .doc("Whether the broker keeps the last message of each topic for those who subscribe later.");
  f.field("envelope", &Config::envelope)
      .doc("Publish `device`, `time`, `kind`, `fields` and `meta`; otherwise the fields alone.");
  f.field("window", &Config::window)
      .doc("How many messages may be under way at once; with `qos: 2` at most 20.")
      .min(std::size_t{1})
      .max(std::size_t{60000});
  f.check([](const Config& c, config::CheckReport<Config>& report) {
    if (auto parsed = TopicPattern::parse(c.topic); !parsed) report.wrong("topic", parsed.error().what);
  });
}

}  // namespace

Plugin mqtt_sink_plugin() {
  Plugin plugin = config::define_plugin<MqttSink>("mqtt_sink", "Publishes records to an MQTT broker as JSON.");
  plugin.threading = Threading::own;
  return plugin;
}

}  // namespace millrace
