#include "plugins/signalr/upstream_events.h"

#include <fmt/core.h>

#include <unordered_map>

#include "plugins/signalr/hub.h"
#include "plugins/signalr/upstream.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// "name: value, name: value"
std::string claims_text(const std::string& payload) {
  std::string text;
  json claims = json::parse(payload, nullptr, false);
  if (!claims.is_object()) return text;
  for (const auto& [name, value] : claims.items())
    text += (text.empty() ? "" : ", ") + name + ": " + (value.is_string() ? value.get<std::string>() : text_of(value));
  return text;
}

/// The query without what nobody else may learn: the connection's and the client's tokens.
std::string public_query(std::string_view query) {
  std::string kept;
  while (!query.empty()) {
    std::string_view one = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), one.size() + 1));
    auto name = http::percent_decode(one.substr(0, one.find('=')), true);
    if (!name || http::equal_ignoring_case(*name, "id") || http::equal_ignoring_case(*name, "access_token")) continue;
    if (!kept.empty()) kept += '&';
    kept += one;
  }
  return kept;
}

/// What events of a connection say of it. Belongs to the hub's loop.
class Teller : public std::enable_shared_from_this<Teller> {
 public:
  Teller(std::weak_ptr<Upstream> upstream, std::string hub) : upstream_(std::move(upstream)), hub_(std::move(hub)) {}

  void connected(Connection& connection, const http::Request& request) {
    about_[connection.id()] = {claims_text(connection.identity().claims), public_query(request.query)};
    post(event(connection, "connections", "connected", {{"Type", 10}}));
  }

  void disconnected(Connection& connection) {
    post(event(connection, "connections", "disconnected", {{"Type", 11}, {"Error", ""}}));
    about_.erase(connection.id());
  }

  void invoked(std::string target, Call call, const std::shared_ptr<http::Loop>& loop) {
    auto caller = call.caller();
    if (!caller) return;
    auto unknown = [&] { call.fail("Unknown hub method '" + target + "'"); };
    if (!caller->identity().may(http::Right::command)) return unknown();
    json body{{"Type", 1}, {"Target", target}, {"Arguments", call.arguments}};
    if (call.id()) body["InvocationId"] = *call.id();
    UpstreamEvent told = event(*caller, "messages", target, body);
    told.repeatable = false;
    auto upstream = upstream_.lock();
    if (!upstream) return unknown();
    auto kept = std::make_shared<Call>(std::move(call));
    bool taken =
        upstream->post(std::move(told), [slot = std::make_shared<std::shared_ptr<Call>>(kept), loop](UpstreamAnswer answer) {
          // The call ends where its connection lives.
          loop->post([one = std::move(*slot), answer = std::move(answer)] { complete(*one, answer); });
        });
    if (!taken) kept->fail("Unknown hub method '" + target + "'");
  }

 private:
  struct About {
    std::string claims, query;
  };

  static void complete(Call& call, const UpstreamAnswer& answer) {
    if (answer.status == 0) return call.fail("The upstream is away.");
    if (answer.status < 200 || answer.status >= 300)
      return call.fail(fmt::format("The upstream has answered with status {}.", answer.status));
    if (answer.status == 204 || answer.body.empty()) return;
    json result = parse_json(answer.body);
    call.result(result.is_discarded() ? json(answer.body) : result);
  }

  UpstreamEvent event(const Connection& connection, std::string category, std::string name, const json& body) const {
    UpstreamEvent made{.hub = hub_,
                       .connection = connection.id(),
                       .user = connection.identity().user,
                       .category = std::move(category),
                       .event = std::move(name),
                       .body = text_of(body)};
    if (auto about = about_.find(connection.id()); about != about_.end()) {
      made.claims = about->second.claims;
      made.query = about->second.query;
    }
    return made;
  }

  void post(UpstreamEvent event) {
    if (auto upstream = upstream_.lock()) upstream->post(std::move(event));
  }

  std::weak_ptr<Upstream> upstream_;
  std::string hub_;
  std::unordered_map<std::string, About> about_;  ///< by connection
};

}  // namespace

void add_upstream(Hub& hub, const std::shared_ptr<Upstream>& upstream, std::string name) {
  auto teller = std::make_shared<Teller>(upstream, std::move(name));
  hub.on_connect([teller](Connection& connection, const http::Request& request) { teller->connected(connection, request); });
  hub.on_disconnect([teller](Connection& connection) { teller->disconnected(connection); });
  hub.otherwise([teller, loop = hub.shared_loop()](std::string target, Call call) {
    teller->invoked(std::move(target), std::move(call), loop);
  });
}

}  // namespace millrace::signalr
