// The hub's HTTP face: negotiate, the upgrade, who is let in.

#include <fmt/core.h>

#include "plugins/signalr/hub.h"
#include "plugins/signalr/negotiate.h"
#include "plugins/signalr/websocket_transport.h"

namespace millrace::signalr {

namespace {

constexpr std::size_t handover_limit = 16U << 20U;  // each record waits in the encodings of both hub protocols

}  // namespace

Result<void> Hub::open(http::Routes& routes) {
  using Face = void (Hub::*)(const http::Request&, http::Exchange);
  std::weak_ptr<Hub> weak = weak_from_this();
  handover_ = std::make_shared<Handover>(handover_limit, [weak, loop = loop_] {
    loop->post([weak] {
      if (auto hub = weak.lock()) hub->arrived();
    });
  });

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
  if (opened && !options_.plain.empty()) opened = claim(options_.plain, &Hub::connect_plain);
  if (!opened) {
    routes_.clear();
    return opened;
  }
  loop_->post([self = shared_from_this()] { self->schedule_tick(); });
  return {};
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
  } else {
    return true;
  }
  return false;
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
    pending_.emplace(token, Pending{id, now_ + options_.attach_timeout});
  }
  auto headers = origins_.headers(request);
  headers.emplace_back("Cache-Control", "no-store");
  exchange.respond(
      {.content_type = "application/json", .body = negotiation_body(negotiation, id, token), .headers = std::move(headers)});
}

void Hub::connect(const http::Request& request, http::Exchange exchange) {
  if (request.method != "GET") return refuse(request, exchange, 405, "A hub is joined with GET.");
  bool upgrade = request.header_has_token("Upgrade", "websocket");
  auto token = request.parameter("id");
  if (!token) {
    if (!upgrade) return refuse(request, exchange, 400, "Connection ID required");
    accept(request, std::move(exchange), make_connection(random_id(), {}, nullptr));
    return;
  }
  if (attached_.contains(*token)) return refuse(request, exchange, 409, "This connection is attached already.");
  auto found = pending_.find(*token);
  if (found == pending_.end()) return refuse(request, exchange, 404, "No Connection with that ID");
  if (!upgrade) return refuse(request, exchange, 404, "This transport is not offered.");
  auto connection = make_connection(found->second.id, *token, nullptr);
  if (!accept(request, std::move(exchange), connection)) return;
  pending_.erase(found);
  attached_.emplace(*token, connection.get());
}

void Hub::connect_plain(const http::Request& request, http::Exchange exchange) {
  auto connection = make_connection(random_id(), {}, &plain_protocol());
  std::vector<std::string> groups;
  for (const std::string& device : request.parameters("device")) groups.push_back(device_group(device));
  accept(request, std::move(exchange), connection, groups);
}

std::shared_ptr<Connection> Hub::make_connection(std::string id, std::string token, const Protocol* protocol) {
  return std::make_shared<Connection>(*this, std::move(id), std::move(token), protocol, now_);
}

bool Hub::accept(const http::Request& request, http::Exchange exchange, const std::shared_ptr<Connection>& connection,
                 const std::vector<std::string>& groups) {
  if (connections_.size() >= options_.max_connections) {
    counters_.refused_full.add();
    refuse(request, exchange, 503, "This hub is full.");
    return false;
  }
  auto stream = http::websocket::upgrade(request, std::move(exchange));
  if (!stream) return false;
  connection->place_ = connections_.size();
  connections_.push_back(connection);
  counters_.clients.set(connections_.size());
  auto transport = std::make_unique<WebSocketTransport>(*connection, std::move(stream), connection->queue(), scratch_,
                                                        options_.client_queue);
  WebSocketTransport& websocket = *transport;
  if (!groups.empty()) subscribe(*connection, groups);  // before it is attached, so that it is owed no more than it wants
  connection->attach(std::move(transport));
  flush_touched();
  websocket.start();
  return true;
}

}  // namespace millrace::signalr
