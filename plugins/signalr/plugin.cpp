#include "runner/config/plugin.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/messages.h"
#include "plugins/signalr/methods.h"
#include "plugins/signalr/options.h"
#include "plugins/signalr/upstream.h"
#include "plugins/signalr/upstream_events.h"
#include "runner/stage/broadcasts.h"
#include "runner/stage/serves_paths.h"

namespace millrace {
namespace signalr {
namespace {

constexpr Duration figures_every = 1s;

/// Hands batches to a hub on the pipeline's listener: serialises here, on the pipeline's thread, and leaves the sending to the
/// listener's.
class Broadcaster final : public Sink, public Broadcasts, public ServesPaths {
 public:
  using Config = Options;

  Broadcaster(Config config, Context context)
      : config_(std::move(config)), context_(std::move(context)), outlet_(config_.outlet()) {}

  Result<void> connect() override;
  Result<void> write(const Batch& batch) override;
  Result<Batch> messages(const Batch& batch) const override { return messages_of(Publication(batch, outlet_)); }
  std::vector<std::string> served_paths() const override {
    HubOptions served = config_.hub_options();
    return served.plain.empty() ? std::vector{served.path} : std::vector{served.path, served.plain};
  }
  std::optional<std::string> clash_with(const ServesPaths& other) const override;
  std::optional<Time> next_tick() const override { return next_figures_; }
  Result<void> tick(Time now) override;

 private:
  void connect_upstream(http::Routes& routes, const HubOptions& options);
  void show_figures();

  Config config_;
  Context context_;
  Outlet outlet_;
  std::shared_ptr<Upstream> upstream_;
  std::unique_ptr<Attachment> attachment_;
  std::optional<Time> next_figures_;
};

std::optional<std::string> Broadcaster::clash_with(const ServesPaths& other) const {
  auto* beside = dynamic_cast<const Broadcaster*>(&other);
  if (!beside) return std::nullopt;
  HubOptions ours = config_.hub_options(), theirs = beside->config_.hub_options();
  if (ours.path == theirs.path) {
    if (ours == theirs) return std::nullopt;
    return fmt::format("both have the hub '{}' but not the same options of it: give both the same, or another `hub`",
                       ours.path);
  }
  std::vector<std::string> taken = paths_of(theirs);
  for (const std::string& path : paths_of(ours))
    if (std::find(taken.begin(), taken.end(), path) != taken.end())
      return fmt::format("both serve '{}': give one of them another `hub`, `plain` or `rest`", path);
  return std::nullopt;
}

/// Stages that share a hub share what is told of its clients.
void Broadcaster::connect_upstream(http::Routes& routes, const HubOptions& options) {
  if (options.upstream.empty()) return;
  std::string name = options.path;
  for (const UpstreamRule& rule : options.upstream)
    name += fmt::format("\n{} {} {}", rule.url, fmt::join(rule.categories, ","), fmt::join(rule.events, ","));
  name += fmt::format("\n{}", fmt::join(options.upstream_keys, " "));
  upstream_ = routes.share<Upstream>(name, [&] {
    auto keys = [own = options.upstream_keys, access = routes.access()] {
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
  HubOptions wanted = config_.hub_options();
  connect_upstream(*routes, wanted);
  auto prepare = [&](Hub& hub) {
    add_telemetry_methods(hub);
    if (auto* desks = context_.service<AlertDesks>())
      add_alert_methods(hub, [desks, pipeline = context_.pipeline()](Seen seen, auto done) {
        desks->acknowledge(pipeline, std::move(seen), std::move(done));
      });
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
  context_.gauge("clients").set(figures.clients.value());
  show("clients_connected", figures.connected);
  show("clients_refused", figures.refused_full);
  show("clients_refused_user", figures.refused_user);
  show("requests_limited", figures.limited);
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
