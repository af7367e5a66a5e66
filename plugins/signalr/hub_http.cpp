// The hub's HTTP face: negotiate, the upgrade, who is let in.

#include <fmt/core.h>

#include <algorithm>

#include "plugins/signalr/event_stream_transport.h"
#include "plugins/signalr/hub.h"
#include "plugins/signalr/long_polling_transport.h"
#include "plugins/signalr/negotiate.h"
#include "plugins/signalr/rest.h"
#include "plugins/signalr/websocket_transport.h"

namespace millrace::signalr {

namespace {

constexpr std::size_t handover_limit = 16U << 20U;  // each record waits in the encodings of both hub protocols
constexpr std::string_view unknown_connection = "No Connection with that ID";
constexpr std::string_view not_offered = "This transport is not offered.";

/// What carries messages to a client that asks like this.
Framing asked_framing(const http::Request& request) {
  if (request.header_has_token("Upgrade", "websocket")) return Framing::websocket;
  return request.header_has_token("Accept", "text/event-stream") ? Framing::event_stream : Framing::body;
}

bool offers(const Transports& transports, Framing framing) {
  switch (framing) {
    case Framing::websocket: return transports.websockets;
    case Framing::event_stream: return transports.server_sent_events;
    case Framing::body: break;
  }
  return transports.long_polling;
}

}  // namespace

Result<void> Hub::open(http::Routes& routes) {
  using Face = void (Hub::*)(const http::Request&, http::Exchange);
  std::weak_ptr<Hub> weak = weak_from_this();
  handover_ = std::make_shared<Handover>(handover_limit, [weak, loop = loop_, brief = brief_turns_] {
    auto take = [weak] {
      if (auto hub = weak.lock()) hub->arrived();
    };
    *brief ? loop->run(take) : loop->post(take);
  });

  access_ = routes.access();
  std::lock_guard lock(routes_mutex_);
  auto claim = [&](const std::string& path, Face face) -> Result<void> {
    auto route = routes.add(path, [weak, face](const http::Request& request, http::Exchange exchange) {
      auto hub = weak.lock();
      if (hub && hub->admit(request, exchange)) return (*hub.*face)(request, std::move(exchange));
      if (!hub) exchange.respond({.status = 404, .body = "There is nothing here.\n"});
    });
    if (!route) return route.error();
    routes_.push_back(std::move(*route));
    return {};
  };
  auto opened = claim(options_.path, &Hub::connect);
  if (opened) opened = claim(options_.path + "/negotiate", &Hub::negotiate);
  // Clients that were given a base address with a slash at its end keep it when they connect.
  if (opened && options_.path != "/") opened = claim(options_.path + "/", &Hub::connect);
  if (opened && !options_.plain.empty()) opened = claim(options_.plain, &Hub::connect_plain);
  if (opened && !options_.rest.empty()) opened = open_rest(routes);
  if (!opened) {
    routes_.clear();
    return opened;
  }
  loop_->post([self = shared_from_this()] { self->schedule_tick(); });
  return {};
}

/// Within open().
Result<void> Hub::open_rest(http::Routes& routes) {
  auto claim = [&](const std::string& prefix, bool first_version) -> Result<void> {
    auto answer = [weak = weak_from_this(), prefix, first_version](const http::Request& request, http::Exchange exchange) {
      auto hub = weak.lock();
      if (!hub) return exchange.respond({.status = 404, .body = "There is nothing here.\n"});
      hub->now_ = Clock::now();
      answer_rest(*hub, request, std::move(exchange), std::string_view(request.path).substr(prefix.size()), first_version);
    };
    auto route = routes.add_prefix(prefix, std::move(answer));
    if (!route) return route.error();
    routes_.push_back(std::move(*route));
    return {};
  };
  auto opened = claim("/api/hubs/" + options_.rest, false);
  if (opened) opened = claim("/api/v1/hubs/" + options_.rest, true);
  // Of several hubs the first answers for the listener.
  auto health =
      routes.add("/api/health",
                 http::Routes::answering([](const http::Request&) { return http::Response{.content_type = "", .body = ""}; }));
  if (health) routes_.push_back(std::move(*health));
  return opened;
}

void Hub::refuse(const http::Request& request, http::Exchange& exchange, int status, std::string_view text) const {
  exchange.respond({.status = status, .body = std::string(text) + '\n', .headers = origins_.headers(request)});
}

/// Answers what every path answers alike; true if the request may go on.
bool Hub::admit(const http::Request& request, http::Exchange& exchange) {
  now_ = Clock::now();
  if (request.method == "OPTIONS") {
    exchange.respond(origins_.preflight(request));
  } else if (!origins_.allow(request)) {
    refuse(request, exchange, 403, "This origin is not allowed here.");
  } else if (retired_) {
    refuse(request, exchange, 404, "This hub is closing.");
  } else if (allowed_ && !allowed_(request)) {
    auto headers = origins_.headers(request);
    headers.emplace_back("WWW-Authenticate", "Bearer");
    // Without a body, as ASP.NET Core does: clients then show the status in words.
    exchange.respond({.status = 401, .content_type = "", .headers = std::move(headers)});
  } else {
    return true;
  }
  return false;
}

/// Who asks, if they may read; else they are answered.
std::optional<http::Identity> Hub::identify(const http::Request& request, http::Exchange& exchange,
                                            const http::Access::Credentials& credentials) {
  auto who = access_->identify(request, credentials);
  if (who && who->may(http::Right::read)) return who;
  http::Response refusal = who ? http::Access::forbidden() : http::Access::unauthorized();
  for (auto& header : origins_.headers(request)) refusal.headers.push_back(std::move(header));
  exchange.respond(std::move(refusal));
  return std::nullopt;
}

std::optional<std::chrono::seconds> Hub::limited(http::RateLimit& limit, const http::Request& request,
                                                 const http::Identity& who) {
  auto asker = http::asker_of(request, who);
  if (!asker) return std::nullopt;
  auto again = limit.exceeded(*asker, now_);
  if (again) counters_.limited.add();
  return again;
}

/// Whether whoever asks is whose connection it is; else they are answered. Of a connection that is there, its own end counts
/// and not the token's: it may have been renewed.
bool Hub::belongs_to(const http::Request& request, http::Exchange& exchange, const http::Identity& owner, http::Expiry expiry) {
  auto who = identify(request, exchange, {.audience = options_.path, .in_query = true, .expiry = expiry});
  if (!who) return false;
  if (who->user != owner.user) refuse(request, exchange, 404, unknown_connection);
  return who->user == owner.user;
}

/// Whether whoever asks may have one more connection, which the grant then holds; else they are answered.
bool Hub::take_share(const http::Request& request, http::Exchange& exchange, Grant& grant) {
  auto asker = http::asker_of(request, grant.identity);
  if (!asker) return true;
  grant.share = shares_.take(*asker);
  if (grant.share) return true;
  counters_.refused_user.add();
  refuse(request, exchange, 429, "Too many connections of one user or address: close some of them first.");
  return false;
}

/// What who connects without negotiating may do, by whatever token they bring; nothing, and answered, if they may not.
std::optional<Hub::Grant> Hub::grant_direct(const http::Request& request, http::Exchange& exchange) {
  auto who = identify(request, exchange, {.audience = options_.path, .in_query = true});
  if (!who) return std::nullopt;
  Grant grant{.identity = std::move(*who)};
  if (grant.identity.expires) grant.ends = steady(*grant.identity.expires);
  if (!take_share(request, exchange, grant)) return std::nullopt;
  return grant;
}

/// What who negotiates may do, and a token that says so where they have brought one themselves; nothing, and answered, if they
/// may not.
std::optional<Hub::Grant> Hub::grant_pending(const http::Request& request, http::Exchange& exchange,
                                             std::string& access_token) {
  auto who = identify(request, exchange, {});
  if (!who) return std::nullopt;
  if (auto again = limited(negotiations_, request, *who)) {
    http::Response refusal = http::too_many_requests(*again);
    for (auto& header : origins_.headers(request)) refusal.headers.push_back(std::move(header));
    exchange.respond(std::move(refusal));
    return std::nullopt;
  }
  Grant grant{.identity = *who};
  if (!take_share(request, exchange, grant)) return std::nullopt;
  if (!who->expires) return grant;
  auto minted = access_->mint(*who, options_.path, options_.token_lifetime);
  if (!minted) {
    refuse(request, exchange, 503, "No token can be made.");
    return std::nullopt;
  }
  access_token = std::move(minted->token);
  grant.ends = std::min(std::max(steady(minted->expires), now_ + options_.connection_lifetime), steady(*who->expires));
  return grant;
}

void Hub::negotiate(const http::Request& request, http::Exchange exchange) {
  if (request.method != "POST") {
    auto headers = origins_.headers(request);
    headers.emplace_back("Allow", "POST, OPTIONS");
    return exchange.respond({.status = 405, .body = "Negotiate with POST.\n", .headers = std::move(headers)});
  }
  Negotiation negotiation = read_negotiation(request);
  std::string id = random_id();
  std::string token = negotiation.version >= 1 ? random_id() : id;
  if (negotiation.error.empty()) {
    if (pending_.size() >= options_.max_connections) {
      counters_.refused_full.add();
      return refuse(request, exchange, 503, "Too many clients are connecting.");
    }
    auto grant = grant_pending(request, exchange, negotiation.access_token);
    if (!grant) return;
    negotiation.stateful = negotiation.stateful && options_.replay_bytes > 0 && options_.transports.websockets;
    pending_.emplace(token, Pending{id, now_ + options_.attach_timeout, negotiation.stateful, std::move(*grant)});
  }
  auto headers = origins_.headers(request);
  headers.emplace_back("Cache-Control", "no-store");
  headers.insert(headers.end(), negotiate_headers_.begin(), negotiate_headers_.end());
  exchange.respond({.content_type = "application/json",
                    .body = negotiation_body(negotiation, id, token, options_.transports),
                    .headers = std::move(headers)});
}

void Hub::connect(const http::Request& request, http::Exchange exchange) {
  if (request.method == "POST") return receive(request, std::move(exchange));
  if (request.method == "DELETE") return remove(request, std::move(exchange));
  if (request.method != "GET") {
    auto headers = origins_.headers(request);
    headers.emplace_back("Allow", "GET, POST, DELETE, OPTIONS");
    return exchange.respond({.status = 405, .body = "A hub is joined with GET.\n", .headers = std::move(headers)});
  }
  Framing framing = asked_framing(request);
  auto token = request.parameter("id");
  if (!token) {
    if (framing != Framing::websocket) return refuse(request, exchange, 400, "Connection ID required");
    if (!offers(options_.transports, framing)) return refuse(request, exchange, 404, not_offered);
    auto grant = grant_direct(request, exchange);
    if (grant) accept(request, std::move(exchange), make_connection(random_id(), {}, nullptr), framing, std::move(*grant));
    return;
  }
  if (auto found = attached_.find(*token); found != attached_.end()) {
    if (belongs_to(request, exchange, found->second->identity(), http::Expiry::ignored))
      connect_again(request, std::move(exchange), *found->second);
    return;
  }
  auto found = pending_.find(*token);
  if (found == pending_.end()) return refuse(request, exchange, 404, unknown_connection);
  if (!offers(options_.transports, framing)) return refuse(request, exchange, 404, not_offered);
  if (!belongs_to(request, exchange, found->second.grant.identity, http::Expiry::checked)) return;
  auto connection = make_connection(found->second.id, *token, nullptr);
  if (found->second.resumable && framing == Framing::websocket) connection->offer_resuming();
  if (!accept(request, std::move(exchange), connection, framing, found->second.grant)) return;
  pending_.erase(found);
  attached_.emplace(*token, connection.get());
}

/// A GET for a connection that has its transport: the next poll, another WebSocket in place of one that was cut, or a mistake.
void Hub::connect_again(const http::Request& request, http::Exchange exchange, Connection& connection) {
  Framing framing = asked_framing(request);
  if (framing != connection.transport_->framing())
    return refuse(request, exchange, 400, "A connection cannot change its transport.");
  if (connection.resumable()) return resume(request, std::move(exchange), connection);
  if (framing != Framing::body) return refuse(request, exchange, 409, "This connection is attached already.");
  static_cast<LongPollingTransport&>(*connection.transport_).poll(origins_.headers(request), std::move(exchange));
}

void Hub::resume(const http::Request& request, http::Exchange exchange, Connection& connection) {
  auto stream = http::websocket::upgrade(request, std::move(exchange));
  if (!stream) return;
  auto transport = std::make_unique<WebSocketTransport>(connection, std::move(stream), connection.queue(), scratch_, joined_,
                                                        options_.client_queue);
  auto& attached = *transport;
  connection.resume(std::move(transport));
  counters_.resumed.add();
  flush_touched();
  attached.start();
}

/// The connection that a POST or DELETE means; null, and answered, if there is none.
Connection* Hub::attached(const http::Request& request, http::Exchange& exchange) {
  auto token = request.parameter("id");
  if (!token) {
    refuse(request, exchange, 400, "Connection ID required");
    return nullptr;
  }
  if (pending_.contains(*token)) {
    refuse(request, exchange, 400, "This connection has no transport yet.");
    return nullptr;
  }
  auto found = attached_.find(*token);
  if (found == attached_.end()) {
    refuse(request, exchange, 404, unknown_connection);
    return nullptr;
  }
  if (!belongs_to(request, exchange, found->second->identity(), http::Expiry::ignored)) return nullptr;
  return found->second;
}

void Hub::receive(const http::Request& request, http::Exchange exchange) {
  Connection* connection = attached(request, exchange);
  if (!connection) return;
  if (connection->transport_->framing() == Framing::websocket)
    return refuse(request, exchange, 405, "A WebSocket connection takes no POST.");
  if (connection->transport_->closing()) return refuse(request, exchange, 404, unknown_connection);
  if (connection->held()) return refuse(request, exchange, 429, "The messages before are still waiting.");
  connection->received(request.body);
  connection->received_all();
  connection->when_released(
      [kept = std::make_shared<http::Exchange>(std::move(exchange)), headers = origins_.headers(request)](bool taken) {
        if (taken) return kept->respond({.content_type = "text/plain", .headers = headers});
        kept->respond({.status = 404, .body = std::string(unknown_connection) + '\n', .headers = headers});
      });
}

void Hub::remove(const http::Request& request, http::Exchange exchange) {
  Connection* connection = attached(request, exchange);
  if (!connection) return;
  if (connection->transport_->framing() != Framing::body)
    return refuse(request, exchange, 400, "Only a connection that polls is deleted.");
  static_cast<LongPollingTransport&>(*connection->transport_).remove();
  exchange.respond({.status = 202, .content_type = "text/plain", .headers = origins_.headers(request)});
}

void Hub::connect_plain(const http::Request& request, http::Exchange exchange) {
  auto grant = grant_direct(request, exchange);
  if (!grant) return;
  auto connection = make_connection(random_id(), {}, &plain_protocol());
  std::vector<std::string> groups;
  for (const std::string& device : request.parameters("device")) groups.push_back(device_group(device));
  accept(request, std::move(exchange), connection, Framing::websocket, std::move(*grant), groups);
}

std::shared_ptr<Connection> Hub::make_connection(std::string id, std::string token, const Protocol* protocol) {
  return std::make_shared<Connection>(*this, std::move(id), std::move(token), protocol, now_);
}

bool Hub::accept(const http::Request& request, http::Exchange exchange, const std::shared_ptr<Connection>& connection,
                 Framing framing, Grant grant, const std::vector<std::string>& groups) {
  if (connections_.size() >= options_.max_connections) {
    counters_.refused_full.add();
    refuse(request, exchange, 503, "This hub is full.");
    return false;
  }
  std::unique_ptr<http::Stream> stream;
  if (framing == Framing::websocket) stream = http::websocket::upgrade(request, std::move(exchange));
  if (framing == Framing::event_stream) stream = exchange.take_over(EventStreamTransport::head(origins_.headers(request)));
  if (framing != Framing::body && !stream) return false;
  connection->place_ = connections_.size();
  connections_.push_back(connection);
  counters_.clients.set(connections_.size());
  give(*connection, std::move(grant));
  if (!groups.empty()) subscribe(*connection, groups);  // before it is attached, so that it is owed no more than it wants

  auto attach = [&](auto transport) -> auto& {
    auto& attached = *transport;
    connection->attach(std::move(transport));
    if (connected_) connected_(*connection, request);
    flush_touched();
    return attached;
  };
  Outgoing& queue = connection->queue();
  if (framing == Framing::websocket) {
    attach(
        std::make_unique<WebSocketTransport>(*connection, std::move(stream), queue, scratch_, joined_, options_.client_queue))
        .start();
  } else if (framing == Framing::event_stream) {
    attach(
        std::make_unique<EventStreamTransport>(*connection, std::move(stream), queue, scratch_, joined_, options_.client_queue))
        .start();
  } else {
    LongPollingTransport::Limits limits{.poll = options_.poll_timeout, .away = options_.attach_timeout};
    attach(std::make_unique<LongPollingTransport>(*connection, queue, loop_, limits))
        .poll(origins_.headers(request), std::move(exchange));
  }
  return true;
}

}  // namespace millrace::signalr
