#include "runner/config/plugin.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/messages.h"
#include "plugins/signalr/methods.h"
#include "plugins/signalr/upstream.h"
#include "plugins/signalr/upstream_events.h"
#include "runner/stage/broadcasts.h"

namespace millrace {
namespace signalr {
namespace {

using config::Bytes;
using config::Fields;

constexpr Duration figures_every = 1s;
constexpr std::string_view none = "none";

/// `to`: who gets what.
struct To {
  std::string audience;
  std::string group, user, connection;
  std::vector<std::string> except;

  static void describe(Fields<To>& f);
  Result<Addressing> addressing() const;
};

/// `history`: what is kept for clients that missed something.
struct Kept {
  std::uint32_t records = 100;
  Bytes bytes{16U << 20U};
  Duration age = 5min;

  static void describe(Fields<Kept>& f);
};

/// `upstream`: who is told of the hub's clients.
struct Receiver {
  std::string url;
  std::vector<std::string> categories, events;

  static void describe(Fields<Receiver>& f);
};

/// Hands batches to a hub on the pipeline's listener: serialises here, on the pipeline's thread, and leaves the sending to the
/// listener's.
class Broadcaster final : public Sink, public Broadcasts {
 public:
  struct Config {
    std::string hub = "/hubs/telemetry";
    std::string plain;
    std::string rest;
    std::string target = "telemetry";
    std::optional<To> to;
    Shape arguments = Shape::list;
    bool envelope = true;
    bool messages = false;
    std::vector<std::string> origins;
    Duration token_lifetime = 5min;
    Duration connection_lifetime{0};
    Kept history;
    std::vector<Receiver> upstream;
    std::vector<config::Secret> upstream_keys;
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

  Broadcaster(Config config, Context context) : config_(std::move(config)), context_(std::move(context)), outlet_(outlet()) {}

  Result<void> connect() override;
  Result<void> write(const Batch& batch) override;
  Result<Batch> messages(const Batch& batch) const override { return messages_of(Publication(batch, outlet_)); }
  std::optional<Time> next_tick() const override { return next_figures_; }
  Result<void> tick(Time now) override;

 private:
  HubOptions options() const;
  Outlet outlet() const;
  void connect_upstream(http::Routes& routes, const HubOptions& options);
  void show_figures();

  Config config_;
  Context context_;
  Outlet outlet_;
  std::shared_ptr<Upstream> upstream_;
  std::unique_ptr<Attachment> attachment_;
  std::optional<Time> next_figures_;
};

Result<Addressing> To::addressing() const {
  Addressing made;
  std::string name = "all";
  auto choose = [&](Reach reach, const std::string& given) {
    if (given.empty()) return 0;
    made.reach = reach;
    name = given;
    return 1;
  };
  int chosen = choose(Reach::all, audience) + choose(Reach::group, group) + choose(Reach::user, user) +
               choose(Reach::connection, connection);
  if (chosen != 1) return invalid("expected `all`, or one of `group`, `user` and `connection`");
  if (!except.empty() && (made.reach == Reach::user || made.reach == Reach::connection))
    return invalid("`except` goes with `all` or a `group`");
  auto parsed = Template::parse(name);
  if (!parsed) return parsed.error();
  made.name = std::move(*parsed);
  for (const std::string& one : except) {
    auto id = Template::parse(one);
    if (!id) return id.error();
    made.except.push_back(std::move(*id));
  }
  return made;
}

void To::describe(Fields<To>& f) {
  f.field("audience", &To::audience).doc("`all`: every connection, subscribed or not.").one_of({"all"});
  f.field("group", &To::group).doc("The members of this group; fields of the record in braces: `device:{device}`.");
  f.field("user", &To::user).doc("All connections of this user; fields in braces.");
  f.field("connection", &To::connection).doc("The one connection of this id; fields in braces.");
  f.field("except", &To::except).doc("Ids of connections that get nothing, with `all` or a group; fields in braces.");
  f.shorthand("audience");
  f.check([](const To& to, config::CheckReport<To>& report) {
    if (auto made = to.addressing(); !made) report.wrong("", made.error().what);
  });
}

void Kept::describe(Fields<Kept>& f) {
  f.field("records", &Kept::records)
      .doc("Of each series; 0 keeps none, so that a client that missed some hears of a gap.")
      .max(100'000);
  f.field("bytes", &Kept::bytes).doc("Of all series together; beyond, the oldest records go.").max(Bytes{4ULL << 30U});
  f.field("age", &Kept::age).doc("Older records go.").min(1s).max(168h);
}

void Receiver::describe(Fields<Receiver>& f) {
  f.field("url", &Receiver::url).doc("Where to post; {hub}, {category} and {event} are filled in.").required();
  f.field("categories", &Receiver::categories)
      .doc(
          "`connections` (events connected, disconnected) and `messages` (calls of methods that the hub does not have); all if "
          "not "
          "given.")
      .one_of({"connections", "messages"});
  f.field("events", &Receiver::events).doc("Names of events or methods; all if not given.");
  f.check([](const Receiver& receiver, config::CheckReport<Receiver>& report) {
    if (!receiver.url.starts_with("http://") && !receiver.url.starts_with("https://"))
      report.wrong("url", "expected a URL that begins with http:// or https://");
  });
}

void Broadcaster::Config::describe(Fields<Config>& f) {
  f.field("hub", &Config::hub).doc("Path of the SignalR hub on the pipeline's listener. Stages of a pipeline may share one.");
  f.field("plain", &Config::plain)
      .doc(
          "Path of a plain WebSocket that carries the same records as JSON lines; by default the hub's path followed by /ws, "
          "and "
          "`none` for none. `?device=ID`, once or more often, restricts it to these devices.");
  f.field("rest", &Config::rest)
      .doc(
          "Name of the hub at /api/hubs/NAME, where programs send with tokens that have the right `command`, as they do with "
          "Azure "
          "SignalR Service; by default the last part of the hub's path, and `none` for not at all.");
  f.field("target", &Config::target).doc("Client method that receives telemetry, as a list of records. Alerts go to `alert`.");
  f.field("to", &Config::to)
      .doc(
          "Who gets the stage's records: `all`, or a `group`, `user` or `connection`. If not given, those who have not "
          "subscribed "
          "to anything, and the subscribers of the record's device.");
  f.choice("arguments", &Config::arguments,
           {{"list", Shape::list}, {"object", Shape::object}, {"text", Shape::text}, {"list_text", Shape::list_text}})
      .doc("The argument of the client's method: a list of records, one record a call, or the JSON text of either.");
  f.field("envelope", &Config::envelope)
      .doc("Telemetry goes out with device, time, seq and epoch around its fields; false sends the fields alone.");
  f.field("messages", &Config::messages)
      .doc(
          "Each record is a message, {target, arguments} with connectionId, userId or groupName, as Azure Functions' SignalR "
          "output "
          "takes it, and is sent as it says; `to`, `target`, `arguments` and `envelope` then mean nothing.");
  f.field("token_lifetime", &Config::token_lifetime)
      .doc(
          "How long the token is good that negotiate hands out to who has brought one; the connection ends with it, unless the "
          "client renews.")
      .min(1s)
      .max(24h);
  f.field("connection_lifetime", &Config::connection_lifetime)
      .doc(
          "How long a connection lives at least, for clients that cannot renew; never longer than the token they negotiated "
          "with.")
      .max(8784h);
  f.field("history", &Config::history).doc("What is kept for clients that have missed records.");
  f.field("upstream", &Config::upstream)
      .doc(
          "Web servers that hear of clients that come and go and answer the calls that the hub does not know, as with Azure "
          "SignalR "
          "Service; the first that matches gets the event.");
  f.field("upstream_keys", &Config::upstream_keys)
      .doc(
          "Keys, at most two, that sign what is posted; those of the tokens if not given, which whoever checks the signature "
          "can mint "
          "tokens with.");
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
  options.plain = config_.plain.empty() ? options.path + "/ws" : config_.plain == none ? "" : config_.plain;
  options.rest = config_.rest.empty()   ? options.path.substr(options.path.rfind('/') + 1)
                 : config_.rest == none ? ""
                                        : config_.rest;
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
  options.token_lifetime = std::chrono::ceil<HubOptions::Time>(config_.token_lifetime);
  options.connection_lifetime = std::chrono::ceil<HubOptions::Time>(config_.connection_lifetime);
  options.history = {.records = config_.history.records,
                     .bytes = config_.history.bytes.count,
                     .age = std::chrono::ceil<HubOptions::Time>(config_.history.age)};
  for (const Receiver& receiver : config_.upstream)
    options.upstream.push_back({.url = receiver.url, .categories = receiver.categories, .events = receiver.events});
  options.flush = std::chrono::ceil<HubOptions::Time>(config_.flush);
  return options;
}

Outlet Broadcaster::outlet() const {
  Outlet made{.target = config_.target, .shape = config_.arguments, .envelope = config_.envelope, .messages = config_.messages};
  if (config_.to) made.to = config_.to->addressing().value();  // checked with the file
  return made;
}

/// Stages that share a hub share what is told of its clients.
void Broadcaster::connect_upstream(http::Routes& routes, const HubOptions& options) {
  if (options.upstream.empty()) return;
  std::string name = options.path;
  for (const UpstreamRule& rule : options.upstream)
    name += fmt::format("\n{} {} {}", rule.url, fmt::join(rule.categories, ","), fmt::join(rule.events, ","));
  std::vector<std::string> own;
  for (const config::Secret& key : config_.upstream_keys) own.push_back(key.text);
  upstream_ = routes.share<Upstream>(name, [&] {
    auto keys = [own, access = routes.access()] {
      if (!own.empty()) return own;
      std::vector<std::string> of_tokens;
      for (const http::SigningKey& key : access->keys())
        if (of_tokens.size() < 2) of_tokens.push_back(key.secret);
      return of_tokens;
    };
    return std::make_shared<Upstream>(options.upstream, keys);
  });
}

Result<void> Broadcaster::connect() {
  if (attachment_) return {};
  auto* routes = context_.service<http::Routes>();
  if (!routes) return invalid(fmt::format("the hub '{}' needs a listener, and this run has none", config_.hub));
  HubOptions wanted = options();
  connect_upstream(*routes, wanted);
  auto prepare = [&](Hub& hub) {
    add_telemetry_methods(hub);
    if (upstream_) add_upstream(hub, upstream_, wanted.path.substr(wanted.path.rfind('/') + 1));
  };
  auto attached = Attachment::attach(*routes, wanted, context_.pipeline(), context_.stage(), prepare);
  if (!attached) return attached.error();
  attachment_ = std::move(*attached);
  next_figures_ = context_.now() + figures_every;
  return {};
}

Result<void> Broadcaster::write(const Batch& batch) {
  if (batch.empty()) return {};
  auto publication = std::make_shared<const Publication>(batch, outlet_);
  if (!publication->empty() && !attachment_->hub().publish(publication))
    return overloaded(fmt::format("the hub '{}' has more waiting than it can send", config_.hub));
  for (const auto& [place, error] : publication->rejected()) context_.reject(batch.records[place], error);
  return {};
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
  show("clients_ended_expired", figures.ended_expired);
  show("clients_ended_expelled", figures.ended_expelled);
  if (!upstream_) return;
  const Upstream::Counters& told = upstream_->counters();
  show("upstream_sent", told.sent);
  show("upstream_failed", told.failed);
  show("upstream_retried", told.retried);
  show("upstream_dropped", told.dropped);
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
