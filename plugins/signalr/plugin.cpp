#include "runner/config/plugin.h"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/messages.h"
#include "plugins/signalr/methods.h"
#include "runner/stage/broadcasts.h"

namespace millrace {
namespace signalr {
namespace {

using config::Bytes;
using config::Fields;

constexpr Duration figures_every = 1s;
constexpr std::string_view no_plain = "none";

/// Hands batches to a hub on the pipeline's listener: serialises here, on the pipeline's thread, and leaves the sending to the
/// listener's.
class Broadcaster final : public Sink, public Broadcasts {
 public:
  struct Config {
    std::string hub = "/hubs/telemetry";
    std::string plain;
    std::string target = "telemetry";
    std::vector<std::string> origins;
    Bytes client_queue{64U << 10U};
    SlowClient slow_client = SlowClient::newest;
    Duration flush{0};
    Bytes replay_buffer{100'000};
    Bytes message_size{32U << 10U};
    std::uint32_t message_rate = 1000;
    Duration keep_alive = 15s;
    Duration client_timeout = 30s;
    Duration handshake_timeout = 15s;
    std::uint32_t max_connections = 10'000;
    std::uint32_t series = 10'000;

    static void describe(Fields<Config>& f);
  };

  Broadcaster(Config config, Context context) : config_(std::move(config)), context_(std::move(context)) {}

  Result<void> connect() override;
  Result<void> write(const Batch& batch) override;
  Result<Batch> messages(const Batch& batch) const override { return messages_of(Publication(batch, config_.target)); }
  std::optional<Time> next_tick() const override { return next_figures_; }
  Result<void> tick(Time now) override;

 private:
  HubOptions options() const;
  void show_figures();

  Config config_;
  Context context_;
  std::unique_ptr<Attachment> attachment_;
  std::optional<Time> next_figures_;
};

void Broadcaster::Config::describe(Fields<Config>& f) {
  f.field("hub", &Config::hub).doc("Path of the SignalR hub on the pipeline's listener. Stages of a pipeline may share one.");
  f.field("plain", &Config::plain)
      .doc(
          "Path of a plain WebSocket that carries the same records as JSON lines; by default the hub's path followed by /ws, "
          "and "
          "`none` for none. `?device=ID`, once or more often, restricts it to these devices.");
  f.field("target", &Config::target).doc("Client method that receives telemetry, as a list of records. Alerts go to `alert`.");
  f.field("origins", &Config::origins)
      .doc(
          "Origins of web pages that may connect, exactly as browsers send them (`https://plant.example`), besides the "
          "listener's "
          "own page.");
  f.field("client_queue", &Config::client_queue)
      .doc("How much may wait for one client that does not keep up, in the process and again in the kernel.")
      .min(Bytes{4U << 10U})
      .max(Bytes{1U << 30U});
  f.choice("slow_client", &Config::slow_client,
           {{"newest", SlowClient::newest}, {"drop_oldest", SlowClient::drop_oldest}, {"disconnect", SlowClient::disconnect}})
      .doc(
          "What happens to telemetry for a client whose queue is full: it gets the newest record of each series once it reads "
          "again, loses the oldest, or is disconnected. Alerts are never dropped: where they find no room the client is "
          "disconnected and may reconnect.");
  f.field("flush", &Config::flush)
      .doc(
          "How long records may gather before they go out together; 0 sends at once. A few milliseconds save most of the cost "
          "with "
          "many clients.")
      .max(10s);
  f.field("replay_buffer", &Config::replay_buffer)
      .doc(
          "How much that a client with stateful reconnect has not acknowledged is kept to be sent again, shared with the other "
          "clients; beyond, this client waits. 0B does not offer stateful reconnect.")
      .max(Bytes{1U << 30U});
  f.field("message_size", &Config::message_size)
      .doc("The longest message that a client may send; a longer one ends its connection.")
      .min(Bytes{1U << 10U})
      .max(Bytes{1U << 20U});
  f.field("message_rate", &Config::message_rate)
      .doc("Messages a second that one client may send, and at once; what comes faster waits with the client, and is not lost.")
      .min(1)
      .max(1'000'000);
  f.field("keep_alive", &Config::keep_alive)
      .doc("After so long a silence a client is sent a ping; clients expect one every 15 s.")
      .min(100ms)
      .max(1h);
  f.field("client_timeout", &Config::client_timeout)
      .doc("A client that has been silent for so long, though asked, is disconnected, and may reconnect.")
      .min(100ms)
      .max(24h);
  f.field("handshake_timeout", &Config::handshake_timeout)
      .doc("How long a client may take to say which protocol it speaks.")
      .min(100ms)
      .max(1h);
  f.field("max_connections", &Config::max_connections)
      .doc("Clients of the hub at a time; more are refused.")
      .min(1)
      .max(1'000'000);
  f.field("series", &Config::series)
      .doc(
          "Series (device and set of field names) whose latest record is kept for clients that join or fall behind; beyond, "
          "the one "
          "silent for longest makes room.")
      .min(1)
      .max(1'000'000);
}

HubOptions Broadcaster::options() const {
  HubOptions options;
  options.path = config_.hub;
  while (options.path.size() > 1 && options.path.ends_with('/')) options.path.pop_back();
  options.plain = config_.plain.empty() ? options.path + "/ws" : config_.plain == no_plain ? "" : config_.plain;
  options.origins = config_.origins;
  options.client_queue = config_.client_queue.count;
  options.slow_client = config_.slow_client;
  options.max_connections = config_.max_connections;
  options.series = config_.series;
  options.replay_bytes = config_.replay_buffer.count;
  options.message_bytes = config_.message_size.count;
  options.message_rate = config_.message_rate;
  options.keep_alive = std::chrono::ceil<HubOptions::Time>(config_.keep_alive);
  options.client_timeout = std::chrono::ceil<HubOptions::Time>(config_.client_timeout);
  options.handshake_timeout = std::chrono::ceil<HubOptions::Time>(config_.handshake_timeout);
  options.flush = std::chrono::ceil<HubOptions::Time>(config_.flush);
  return options;
}

Result<void> Broadcaster::connect() {
  if (attachment_) return {};
  auto* routes = context_.service<http::Routes>();
  if (!routes) return invalid(fmt::format("the hub '{}' needs a listener, and this run has none", config_.hub));
  auto attached = Attachment::attach(*routes, options(), context_.pipeline(), context_.stage(), add_telemetry_methods);
  if (!attached) return attached.error();
  attachment_ = std::move(*attached);
  next_figures_ = context_.now() + figures_every;
  return {};
}

Result<void> Broadcaster::write(const Batch& batch) {
  if (batch.empty()) return {};
  auto publication = std::make_shared<const Publication>(batch, config_.target);
  if (publication->items().empty() || attachment_->hub().publish(std::move(publication))) return {};
  return overloaded(fmt::format("the hub '{}' has more waiting than it can send", config_.hub));
}

Result<void> Broadcaster::tick(Time now) {
  show_figures();
  next_figures_ = now + figures_every;
  return {};
}

void Broadcaster::show_figures() {
  const HubCounters& figures = attachment_->hub().counters();
  auto show = [&](std::string_view name, const Counter& figure) { context_.counter(name).set(figure.value()); };
  show("clients", figures.clients);
  show("clients_connected", figures.connected);
  show("clients_refused", figures.refused_full);
  show("clients_resumed", figures.resumed);
  show("clients_held", figures.held);
  show("frames", figures.frames);
  show("client_records", figures.records);
  show("client_records_conflated", figures.conflated);
  show("client_records_dropped", figures.dropped);
  show("series_evicted", figures.evicted);
  show("invocations", figures.invocations);
  show("clients_ended_by_client", figures.ended_by_client);
  show("clients_ended_handshake", figures.ended_handshake);
  show("clients_ended_timeout", figures.ended_timeout);
  show("clients_ended_protocol", figures.ended_protocol);
  show("clients_ended_slow", figures.ended_slow);
  show("clients_ended_shutdown", figures.ended_shutdown);
}

}  // namespace
}  // namespace signalr

Plugin signalr_plugin() {
  auto plugin = config::define_plugin<signalr::Broadcaster>("signalr",
                                                            "Broadcasts records live to SignalR clients and plain WebSockets.");
  plugin.on_full = Overflow::newest;
  plugin.serves = true;
  return plugin;
}

}  // namespace millrace
