#include "runner/config/plugin.h"

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "plugins/mqtt_sink/topic_pattern.h"
#include "runner/mqtt/broker.h"
#include "runner/mqtt/connection.h"
#include "runner/mqtt/takeover.h"
#include "runner/mqtt/tls_files.h"
#include "runner/stage/json.h"

namespace millrace {
namespace {

using mqtt_sink::TopicPattern;

/// Publishes each record as JSON, on a thread that may wait for the broker. A batch is settled when the broker has acknowledged
/// all of it (QoS 1 and 2) or all is written to the connection (QoS 0). That is not waited for: to and fro can take 40 ms where
/// the broker's system delays its acknowledgements. So up to `window` messages are under way, and kept to be published again
/// after the connection has broken.
class MqttSink final : public Sink, public NeedsFiles {
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
    handlers.all_delivered = handlers.lost;
    connection_ = std::make_unique<mqtt::Connection>(config_, true, std::move(handlers));
    if (auto opened = connection_->open(context_.stop_token()); !opened) return opened;
    takeover_.connected(context_.now());
    published_ = 0;
    for (Parcel& parcel : parcels_)
      if (auto again = publish(parcel); !again) return again;
    return {};
  }

  Result<void> write(const Batch& batch) override {
    settle_delivered();
    Parcel parcel;
    for (const Record& record : batch.records) add(parcel, record);
    if (auto published = publish(parcel); !published) return published;
    // With dead letters in it the batch is the runner's to settle, once they are safe.
    if (parcel.messages.size() < batch.size()) return told(connection_->drain(context_.stop_token()));
    parcel.ack = context_.take_ack();
    parcels_.push_back(std::move(parcel));
    return {};
  }

  /// Woken when everything is delivered, and when the connection breaks, so that it is there again before the next batch.
  Result<void> tick(Time) override {
    settle_delivered();
    if (connection_ && connection_->lost()) return takeover_.lost(context_.now(), config_);
    return {};
  }

  bool idle() const override { return parcels_.empty(); }

  std::vector<NeedsFiles::Problem> file_problems() const override { return mqtt::tls_file_problems(config_); }

 private:
  struct Message {
    std::string topic;
    std::string payload;
  };

  /// One batch on its way.
  struct Parcel {
    std::vector<Message> messages;
    std::size_t end = 0;  ///< delivered when so many messages of this connection are
    Ack ack;
  };

  void add(Parcel& parcel, const Record& record) {
    Message message;
    if (auto filled = topic_.fill(record, message.topic); !filled) {
      context_.reject(record, filled.error());
      return;
    }
    if (config_.envelope)
      append_json_record(message.payload, record, true);
    else
      append_json(message.payload, record.fields.view());
    parcel.messages.push_back(std::move(message));
  }

  Result<void> publish(Parcel& parcel) {
    for (const Message& m : parcel.messages) {
      auto published = connection_->publish(m.topic, m.payload, config_.qos, config_.retain, window(), context_.stop_token());
      if (!published) return told(std::move(published));
      ++published_;
    }
    parcel.end = published_;
    return {};
  }

  /// What failed, or rather that the connection is lost, if it is.
  Result<void> told(Result<void> result) {
    if (!result && connection_->lost()) return takeover_.lost(context_.now(), config_);
    return result;
  }

  void settle_delivered() {
    if (parcels_.empty() || !connection_ || connection_->lost()) return;
    std::size_t delivered = published_ - connection_->under_way();
    for (; !parcels_.empty() && parcels_.front().end <= delivered; parcels_.pop_front()) parcels_.front().ack.settle();
  }

  // Mosquitto hangs up on a client with more QoS 2 messages under way than its max_inflight_messages, 20 unless configured.
  static constexpr std::size_t most_of_qos_2 = 20;
  std::size_t window() const { return config_.qos == 2 ? std::min(config_.window, most_of_qos_2) : config_.window; }

  Config config_;
  Context context_;
  const TopicPattern topic_;
  std::unique_ptr<mqtt::Connection> connection_;
  mqtt::TakeoverSign takeover_;
  std::size_t published_ = 0;  ///< over this connection
  std::deque<Parcel> parcels_;
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
      .doc("How many messages may be under way at once, kept in memory until they are delivered; with `qos: 2` at most 20.")
      .min(std::size_t{1})
      .max(std::size_t{60000});
  f.check({"window", "qos"}, [](const Config& c, config::CheckReport<Config>& report) {
    if (report.given("window") && c.qos == 2 && c.window > most_of_qos_2)
      report.wrong("window", fmt::format("window may be {} at most with qos: 2", most_of_qos_2));
  });
  f.check({"topic"}, [](const Config& c, config::CheckReport<Config>& report) {
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
