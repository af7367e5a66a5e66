#include "runner/config/plugin.h"

#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "plugins/mqtt_source/decode.h"
#include "plugins/mqtt_source/intake.h"
#include "plugins/mqtt_source/pace.h"
#include "plugins/mqtt_source/topic.h"
#include "runner/config/values.h"
#include "runner/mqtt/broker.h"
#include "runner/mqtt/subscriber.h"
#include "runner/mqtt/tls_files.h"
#include "runner/stage/outages.h"
#include "runner/store/inbox_lease.h"

namespace millrace {
namespace {

using mqtt_source::Arrival;
using mqtt_source::Incoming;
using mqtt_source::Intake;
using mqtt_source::MessageDecoder;
using mqtt_source::Pace;
using mqtt_source::TopicTemplate;

struct DeviceOptions {
  std::string topic = "devices/{device}/messages/#";
  std::string field;

  static void describe(config::Fields<DeviceOptions>& f) {
    f.field("topic", &DeviceOptions::topic)
        .doc(
            "A topic whose level `{device}` is the device, such as `plant/{site}/{device}/+`; other named levels go to the "
            "meta.");
    f.field("field", &DeviceOptions::field)
        .doc("The field that names the device, in place of the topic; anybody who may publish can write anything there.")
        .not_empty();
    f.shorthand("topic");
    f.check({"topic", "field"}, [](const DeviceOptions&, config::CheckReport<DeviceOptions>& report) {
      if (report.given("topic") && report.given("field"))
        report.wrong("field", "the device comes from the topic or from a field, not both");
    });
    f.check({"topic"}, [](const DeviceOptions& o, config::CheckReport<DeviceOptions>& report) {
      auto parsed = TopicTemplate::parse(o.topic);
      if (!parsed) report.wrong("topic", parsed.error().what);
    });
  }
};

/// The library acknowledges all that it has read from the broker by the time that it disconnects, so all of that must find
/// room: more than a connection brings in a second.
constexpr std::uint64_t reserve = 64U << 20U;

struct InboxOptions {
  config::Bytes limit{1ULL << 30U};
  store::Inbox::Sync sync = store::Inbox::Sync::os;

  static void describe(config::Fields<InboxOptions>& f) {
    f.field("limit", &InboxOptions::limit)
        .doc(
            "Disk that unsettled messages may take; at 90 % the source disconnects, at 50 % it connects again. What the broker "
            "has sent before the connection is closed may take up to 64 MiB more.")
        .min(config::Bytes{1U << 20U});
    f.choice("sync", &InboxOptions::sync,
             {{"os", store::Inbox::Sync::os}, {"100ms", store::Inbox::Sync::timed}, {"always", store::Inbox::Sync::always}})
        .doc(
            "What a power cut may take: what the operating system has not written yet, 100 ms, or nothing. A kill takes "
            "nothing.");
  }
};

/// Messages from an MQTT broker. What the library's one receive thread hands over is kept in the Intake at once; this stage
/// only decodes it, on its pipeline's thread: a thread of its own would add a wake-up to every batch. It never waits:
/// connecting is the Subscriber's, whose failure the next poll() returns, and connect() begins another attempt.
class MqttSource final : public Source, public NeedsFiles {
 public:
  struct Config : mqtt::Broker {
    std::vector<std::string> topics;
    int qos = 1;
    std::optional<bool> clean_session;
    DeviceOptions device;
    config::EventTime time;
    InboxOptions inbox;
    config::Bytes queue{4U << 20U};
    config::Bytes payload_limit{256U << 10U};
    bool retained = false;
    Duration catch_up{60s};

    static void describe(config::Fields<Config>& f);
  };

  MqttSource(Config config, Context context)
      : config_(std::move(config)), context_(std::move(context)), decoder_(rules(config_, context_), context_) {
    if (config_.client_id.empty()) config_.client_id = fmt::format("millrace-{}-{}", context_.pipeline(), context_.stage());
  }

  Result<void> connect() override;
  Result<Batch> poll() override;

  std::optional<Time> next_tick() const override {
    std::optional<Time> next;
    if (pace_.busy()) next = pace_.next();
    if (held_since_) next = std::min(next.value_or(Time::max()), *held_since_ + hold_pause);
    return next;
  }

  std::vector<NeedsFiles::Problem> file_problems() const override { return mqtt::tls_file_problems(config_); }

  bool ready() const override { return subscriber_ && subscriber_->connected(); }

  /// A successor may have the inbox from here on; Acks that are out keep it open.
  void stop() override {
    subscriber_.reset();
    tell_standing();
    if (intake_) intake_->give_up_inbox();
  }

  Result<Batch> remaining() override {
    Batch batch;
    if (!intake_) return batch;
    decoder_.begin_batch();
    while (batch.empty() && take_queued(batch, Time::max()) > 0) {
    }
    return batch;
  }

 private:
  static constexpr std::size_t largest_batch = 1024;
  static constexpr std::size_t largest_bytes = 64U << 10U;
  static constexpr Duration hold_pause{1s};

  static std::uint64_t most_kept(const Config& c) { return (c.qos > 0 ? c.inbox.limit.count : c.queue.count) / 2; }
  static std::uint64_t largest_payload(const Config& c) { return std::min(c.payload_limit.count, most_kept(c)); }
  static MessageDecoder::Rules rules(const Config& config, const Context& context);
  Result<void> open_intake();
  void subscribe();
  std::size_t take_queued(Batch& batch, Time until);
  std::size_t take_kept(Batch& batch);
  void connect_when_there_is_room();
  bool clean_session() const { return config_.clean_session.value_or(config_.qos == 0); }
  void tell_standing();

  Config config_;
  Context context_;
  MessageDecoder decoder_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<mqtt::Subscriber> subscriber_;  // after what its callbacks use
  std::vector<store::Inbox::Message> kept_;
  std::optional<Time> held_since_;
  Pace pace_;
};

// Tells records of one source from those of another after a restart: FNV-1a of its name, never 0.
std::uint32_t source_number(const Context& context) {
  std::uint32_t hash = 2166136261U;
  for (char c : context.pipeline() + '/' + context.stage()) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash == 0 ? 1 : hash;
}

MessageDecoder::Rules MqttSource::rules(const Config& config, const Context& context) {
  MessageDecoder::Rules rules;
  rules.device_field.field = config.device.field;
  if (config.device.field.empty()) rules.device_topic = TopicTemplate::parse(config.device.topic).value();
  rules.time = config.time;
  rules.catch_up = config.catch_up;
  rules.source = source_number(context);
  rules.payload_limit = largest_payload(config);
  return rules;
}

Result<void> MqttSource::open_intake() {
  std::optional<store::InboxLease> inbox;
  if (config_.qos > 0) {
    auto* inboxes = context_.service<store::Inboxes>();
    if (!inboxes) return invalid("QoS 1 needs an inbox, and there is none here");
    store::Inbox::Options options;
    options.limit = config_.inbox.limit.count;
    options.reserve = reserve;
    options.sync = config_.inbox.sync;
    options.log = [context = context_](LogLevel level, std::string_view text) { context.log(level, text); };
    options.on_lost = [context = context_, &damaged = context_.dropped("damaged")](std::uint64_t n) { damaged.add(n); };
    auto folder = context_.data_folder() / "inbox" / fmt::format("{}.{}", context_.pipeline(), context_.stage());
    auto lease = inboxes->lease(folder, std::move(options));
    if (!lease) return lease.error();
    inbox = std::move(*lease);
  }
  intake_ = std::make_unique<Intake>(std::move(inbox),
                                     Intake::Limits{config_.queue.count, largest_payload(config_), config_.retained}, context_);
  return {};
}

Result<void> MqttSource::connect() {
  if (!intake_)
    if (auto opened = open_intake(); !opened) return opened;
  if (!subscriber_) subscribe();
  intake_->set_backlog(true);
  tell_standing();
  subscriber_->connect();
  return {};
}

void MqttSource::subscribe() {
  mqtt::Subscriber::Subscription subscription{config_.topics, config_.qos, clean_session()};
  mqtt::Subscriber::Handlers handlers{[intake = intake_.get()](const mqtt::Message& m) { return intake->receive(m); },
                                      [intake = intake_.get()] { intake->wake(); },
                                      [context = context_] { return context.now(); }};
  subscriber_ = std::make_unique<mqtt::Subscriber>(config_, std::move(subscription), std::move(handlers));
}

/// Where the broker keeps what comes meanwhile, and it is dated by itself.
void MqttSource::tell_standing() {
  auto* outages = context_.service<Outages>();
  if (!outages || clean_session() || config_.time.field.empty()) return;
  if (subscriber_ && !subscriber_->connected())
    outages->away(source_number(context_), context_.now());
  else
    outages->back(source_number(context_), context_.now());
}

Result<Batch> MqttSource::poll() {
  tell_standing();
  // While busy the stage looks by itself, and is woken by a queue that fills too quickly for that only.
  if (!pace_.busy()) intake_->attended();
  connect_when_there_is_room();
  Batch batch;
  decoder_.begin_batch();
  std::size_t taken = 0;
  // First what may fail, so that nothing taken from the queue is lost with it.
  const Time seen = context_.now();
  if (intake_->inbox()) {
    auto read = intake_->inbox()->read(kept_, largest_batch, largest_bytes);
    if (!read) return read.error();
  }
  taken += take_kept(batch);
  if (!intake_->inbox())
    taken += take_queued(batch, Time::max());
  else if (intake_->queue().used() > 0 && intake_->inbox()->drained())
    taken += take_queued(batch, seen);
  if (decoder_.caught_up()) intake_->set_backlog(false);
  bool calm = pace_.polled(context_.now(), taken);
  // What came between taking and becoming wakeable must not wait for the next message. Nor must what is left when all that was
  // taken has been rejected.
  if (calm || (taken > 0 && batch.empty())) intake_->attended(), intake_->wake();
  if (!batch.empty() || !batch.ack.empty()) return batch;
  if (auto error = subscriber_->take_error()) return *error;
  return batch;
}

std::size_t MqttSource::take_queued(Batch& batch, Time until) {
  auto take = [&](const Arrival& arrival) {
    bool oversize = (arrival.flags & Intake::oversize_flag) != 0;
    decoder_.append(batch, {arrival.topic, arrival.payload, arrival.time, false, 0, oversize});
  };
  return intake_->queue().take(largest_batch, largest_bytes, take, until);
}

/// In the order in which all was received: what the inbox did not take is newer than what waits in it, and must not overtake
/// that, as alerts would pass over what is older then.
std::size_t MqttSource::take_kept(Batch& batch) {
  if (kept_.empty()) return 0;
  std::size_t taken = kept_.size();
  for (const auto& m : kept_) {
    if (intake_->queue().used() > 0) taken += take_queued(batch, m.arrival);
    decoder_.append(batch, {m.topic, m.payload, m.arrival, (m.flags & Intake::backlog_flag) != 0, m.sequence,
                            (m.flags & Intake::oversize_flag) != 0});
  }
  batch.ack = intake_->ack(kept_);
  return taken;
}

void MqttSource::connect_when_there_is_room() {
  if (!intake_->held()) return;
  Time now = context_.now();
  if (!held_since_) held_since_ = now;
  if (now - *held_since_ < hold_pause) return;
  held_since_ = now;
  if (intake_->inbox()->fill() > Intake::low) return;
  held_since_.reset();
  context_.log(LogLevel::info, "the inbox has room again: connecting");
  intake_->resume();
  intake_->set_backlog(true);
  subscriber_->release();
}

void MqttSource::Config::describe(config::Fields<Config>& f) {
  mqtt::describe_broker(f);
  f.field("topics", &Config::topics)
      .doc(
          "Topic filters to subscribe to, with `+` and `#`; `$share/GROUP/FILTER` shares the messages with others of the "
          "group.")
      .required();
  f.field("qos", &Config::qos)
      .doc(
          "1: nothing that the broker saw acknowledged is lost to a kill; 0: quicker, and lost if the process ends or the "
          "queue is full.")
      .min(0)
      .max(1);
  f.field("clean_session", &Config::clean_session)
      .doc(
          "Whether the broker forgets us when we disconnect; default: true with `qos: 0`, else false, so that it keeps what "
          "comes meanwhile.");
  f.field("device", &Config::device).doc("Where a record's device comes from: a topic template, or `{field: NAME}`.");
  f.field("time", &Config::time).doc("Where a record's event time comes from; default, and where it is missing: the arrival.");
  f.field("inbox", &Config::inbox)
      .doc("Where QoS 1 messages are kept until every branch of the pipeline has finished with them.");
  f.field("queue", &Config::queue)
      .doc("Memory for QoS 0 messages that wait to be decoded; when it is full they are dropped and counted as `queue_full`.")
      .min(config::Bytes{4096})
      .max(config::Bytes{1U << 30U});
  f.field("payload_limit", &Config::payload_limit)
      .doc(
          "The largest message that is taken; of a larger one, size and beginning go to the dead letters. At most half of "
          "`inbox.limit`, or with `qos: 0` of `queue`.")
      .min(config::Bytes{1})
      .max(config::Bytes{256U << 20U});
  f.field("retained", &Config::retained)
      .doc(
          "Whether to take retained messages, which the broker repeats after each reconnect; otherwise they are counted as "
          "`retained`.");
  f.field("catch_up", &Config::catch_up)
      .doc(
          "For how long after a connect messages may have waited at the broker: their arrival is then taken from their event "
          "time.");
  f.check({"payload_limit", "inbox", "queue", "qos"}, [](const Config& c, config::CheckReport<Config>& report) {
    if (report.given("payload_limit") && c.payload_limit.count > most_kept(c))
      report.wrong("payload_limit", fmt::format("payload_limit may be {} at most, half of {}",
                                                config::show_bytes({most_kept(c)}), c.qos > 0 ? "inbox.limit" : "queue"));
  });
  f.check({"topics"}, [](const Config& c, config::CheckReport<Config>& report) {
    if (c.topics.empty()) report.wrong("topics", "topics is empty: name at least one, such as devices/+/messages/events/#");
    for (std::size_t i = 0; i < c.topics.size(); ++i)
      if (std::string problem = mqtt_source::problem_of_filter(c.topics[i]); !problem.empty())
        report.wrong_at({"topics", std::to_string(i)}, problem);
  });
}

}  // namespace

Plugin mqtt_source_plugin() {
  return config::define_plugin<MqttSource>("mqtt_source",
                                           "Messages from an MQTT broker; with QoS 1 none that was acknowledged is lost.");
}

}  // namespace millrace
