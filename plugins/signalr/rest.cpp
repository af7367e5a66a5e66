#include "plugins/signalr/rest.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "plugins/signalr/delivery.h"
#include "plugins/signalr/hub.h"

namespace millrace::signalr {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> versions{"2022-06-01", "2021-10-01", "1.0"};
constexpr auto year = std::chrono::hours(24 * 365);

http::Response error(int status, std::string_view code, std::string_view message, std::string_view azure_code = {}) {
  http::Response response{.status = status,
                          .content_type = "application/json",
                          .body = json{{"error", {{"code", code}, {"message", message}}}}.dump() + '\n'};
  if (!azure_code.empty()) response.headers.emplace_back("x-ms-error-code", std::string(azure_code));
  return response;
}

http::Response bad_request(std::string_view message) { return error(400, "BadRequest", message); }
http::Response empty(int status) { return {.status = status, .content_type = ""}; }
http::Response missing(std::string_view what) {
  return error(404, "NotFound", fmt::format("There is no such {}.", what), fmt::format("Warning.{}.NotExisted", what));
}

/// As clients write it in a token's `aud`: all but the unreserved characters of RFC 3986 escaped, or not.
std::string escaped(std::string_view path) {
  std::string text;
  for (char c : path) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("-._~/:").find(c) != std::string_view::npos;
    text += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

/// Who asks, if the request's token lets it through; else it is answered.
std::optional<http::Identity> admitted(const http::Access& access, const http::Request& request, http::Exchange& exchange) {
  auto token = http::Access::bearer(request);
  auto who = token ? access.verify(*token) : Result<http::Identity>(rejected("there is no token"));
  if (who && who->may(http::Right::command)) return std::move(*who);
  if (who) {
    exchange.respond(http::Access::forbidden());
    return std::nullopt;
  }
  std::string path = request.path;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  const std::string* host = request.header("Host");
  // A proxy may have ended TLS before us.
  std::vector<std::string> urls;
  for (std::string_view scheme : {"https://", "http://"})
    for (const std::string& form : {path, escaped(path)})
      urls.push_back(std::string(scheme).append(host ? *host : "").append(form));
  std::vector<std::string_view> audiences(urls.begin(), urls.end());
  if (token) who = access.verify_only(*token, audiences);
  if (who) return std::move(*who);
  exchange.respond(http::Access::unauthorized());
  return std::nullopt;
}

/// `/groups/a/connections/b` taken apart. Names may hold a slash, so that the words around them decide.
struct Place {
  std::string all;  ///< the rest: "" or "/:send"
  std::optional<std::string> group, user, connection;
  bool groups = false;  ///< ends with /groups: all of them
  std::string verb;     ///< "", "send", "closeConnections"
};

std::optional<std::string_view> after(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix) || path.size() == prefix.size()) return std::nullopt;
  return path.substr(prefix.size());
}

Place read_place(std::string_view path) {
  Place place;
  if (auto verb = path.rfind("/:"); verb != std::string_view::npos) {
    place.verb = path.substr(verb + 2);
    path = path.substr(0, verb);
  }
  if (auto name = after(path, "/groups/")) {
    auto member = name->rfind("/connections/");
    if (member != std::string_view::npos) place.connection = name->substr(member + 13);
    place.group = name->substr(0, member);
  } else if (auto user = after(path, "/users/")) {
    auto groups = user->find("/groups/");
    if (groups != std::string_view::npos) place.group = user->substr(groups + 8);
    place.groups = groups == std::string_view::npos && user->ends_with("/groups");
    place.user = user->substr(0, place.groups ? user->size() - 7 : groups);
  } else if (auto connection = after(path, "/connections/")) {
    place.groups = connection->ends_with("/groups");
    place.connection = connection->substr(0, place.groups ? connection->size() - 7 : connection->size());
  } else {
    place.all = path;
  }
  return place;
}

bool good_name(const std::optional<std::string>& name) { return !name || (!name->empty() && name->size() <= longest_group); }

class Operation {
 public:
  Operation(Hub& hub, const http::Request& request, Place place) : hub_(hub), request_(request), place_(std::move(place)) {}

  void run(http::Exchange exchange) {
    if (place_.verb == "send" && request_.method == "POST") return send(std::move(exchange));
    if (place_.verb == "closeConnections" && request_.method == "POST") return exchange.respond(close_all());
    if (!place_.verb.empty()) return exchange.respond(error(404, "NotFound", "There is no such operation."));
    if (place_.user) return exchange.respond(user());
    if (place_.group) return exchange.respond(group());
    if (place_.connection) return exchange.respond(connection());
    exchange.respond(error(404, "NotFound", "There is no such operation."));
  }

 private:
  Audience audience() const {
    Audience audience{.reach = Reach::all};
    if (place_.connection) audience = {.reach = Reach::connection, .name = *place_.connection};
    if (place_.user) audience = {.reach = Reach::user, .name = *place_.user};
    if (place_.group) audience = {.reach = Reach::group, .name = *place_.group};
    audience.except = request_.parameters("excluded");
    return audience;
  }

  void send(http::Exchange exchange) {
    json body = parse_json(request_.body);
    if (!body.is_object()) return exchange.respond(bad_request("The body must be {\"target\", \"arguments\"}."));
    if (body.contains("rawBytes") && body.value("rawOnly", json()) == true)
      return exchange.respond(bad_request("rawBytes are not supported."));
    auto target = body.find("target");
    if (target == body.end() || !target->is_string() || target->get_ref<const std::string&>().empty())
      return exchange.respond(bad_request("`target` must name a method."));
    json arguments = body.value("arguments", json::array());
    if (arguments.is_null()) arguments = json::array();
    if (!arguments.is_array()) return exchange.respond(bad_request("`arguments` must be a list."));
    const std::string& method = target->get_ref<const std::string&>();
    auto acknowledge = request_.parameter("acknowledge");
    if (!acknowledge) {
      hub_.send(audience(), method, arguments);
      return exchange.respond(empty(202));
    }
    int seconds = 0;
    auto [end, wrong] = std::from_chars(acknowledge->data(), acknowledge->data() + acknowledge->size(), seconds);
    if (wrong != std::errc{} || end != acknowledge->data() + acknowledge->size() || seconds < 1 || seconds > 30)
      return exchange.respond(bad_request("`acknowledge` must be 1 to 30 seconds."));
    auto kept = std::make_shared<http::Exchange>(std::move(exchange));
    Delivery::send(hub_.shared_loop(), hub_.audience(audience()), hub_.frames_of_call(method, arguments),
                   std::chrono::seconds(seconds), [kept](const Delivery::Outcome& outcome) {
                     json result{{"matched", outcome.matched},
                                 {"written", outcome.written},
                                 {"confirmed", outcome.confirmed},
                                 {"dropped", outcome.dropped}};
                     kept->respond({.status = 202, .content_type = "application/json", .body = result.dump() + '\n'});
                   });
  }

  http::Response close_all() {
    for (const auto& one : hub_.audience(audience())) close(*one);
    return empty(204);
  }

  void close(Connection& connection) { hub_.expel(connection, request_.parameter("reason").value_or("")); }

  http::Response connection() {
    auto found = hub_.find(*place_.connection);
    if (!found) return missing("Connection");
    if (place_.groups) {
      if (request_.method != "DELETE") return not_allowed("DELETE");
      for (const std::string& name : std::vector(found->groups())) hub_.part(*found, name);
      return empty(200);
    }
    if (request_.method == "DELETE") close(*found);
    if (request_.method == "DELETE" || request_.method == "HEAD") return empty(200);
    return not_allowed("DELETE, HEAD");
  }

  http::Response group() {
    if (!place_.connection) {
      if (request_.method != "HEAD") return not_allowed("HEAD");
      return hub_.audience({.reach = Reach::group, .name = *place_.group}).empty() ? missing("Group") : empty(200);
    }
    auto found = hub_.find(*place_.connection);
    if (!found) return missing("Connection");
    if (request_.method == "PUT") hub_.join(*found, *place_.group);
    if (request_.method == "DELETE") hub_.part(*found, *place_.group);
    return request_.method == "PUT" || request_.method == "DELETE" ? empty(200) : not_allowed("PUT, DELETE");
  }

  http::Response user() {
    const std::string& name = *place_.user;
    if (place_.groups) {
      if (request_.method != "DELETE") return not_allowed("DELETE");
      hub_.part_user(name);
      return empty(204);
    }
    if (!place_.group) {
      if (request_.method != "HEAD") return not_allowed("HEAD");
      return hub_.audience({.reach = Reach::user, .name = name}).empty() ? missing("User") : empty(200);
    }
    if (request_.method == "HEAD") return hub_.user_in_group(name, *place_.group) ? empty(200) : missing("Group");
    if (request_.method == "DELETE") {
      hub_.part_user(name, *place_.group);
      return empty(204);
    }
    if (request_.method != "PUT") return not_allowed("PUT, DELETE, HEAD");
    return join_user(name);
  }

  http::Response join_user(const std::string& name) {
    std::chrono::seconds lasting = year;
    if (auto ttl = request_.parameter("ttl")) {
      std::int64_t seconds = 0;
      auto [end, wrong] = std::from_chars(ttl->data(), ttl->data() + ttl->size(), seconds);
      if (wrong != std::errc{} || end != ttl->data() + ttl->size() || seconds < 0)
        return bad_request("`ttl` must be a number of seconds.");
      lasting = std::min<std::chrono::seconds>(std::chrono::seconds(seconds), year);
    }
    std::optional<Hub::Clock::time_point> until;
    if (lasting.count() > 0) until = Hub::Clock::now() + lasting;
    if (!hub_.join_user(name, *place_.group, until))
      return error(503, "ServiceUnavailable", "Groups are kept for too many users already.");
    return empty(200);
  }

  static http::Response not_allowed(std::string_view allowed) {
    http::Response response = error(405, "MethodNotAllowed", "This operation has another verb.");
    response.headers.emplace_back("Allow", std::string(allowed));
    return response;
  }

  Hub& hub_;
  const http::Request& request_;
  Place place_;
};

}  // namespace

void answer_rest(Hub& hub, const http::Request& request, http::Exchange exchange, std::string_view path, bool first_version) {
  auto who = admitted(hub.access(), request, exchange);
  if (!who) return;
  if (auto again = hub.limit_rest(request, *who)) {
    http::Response refusal = error(429, "TooManyRequests", "Too many requests: come again later.");
    refusal.headers.emplace_back("Retry-After", std::to_string(again->count()));
    return exchange.respond(std::move(refusal));
  }
  auto version = request.parameter("api-version");
  if (version && std::find(versions.begin(), versions.end(), *version) == versions.end())
    return exchange.respond(bad_request("This api-version is not known; 2022-06-01 is."));
  while (path.ends_with('/')) path.remove_suffix(1);
  Place place = read_place(path);
  if (first_version && place.verb.empty() && request.method == "POST") place.verb = "send";
  if (!good_name(place.group) || !good_name(place.user) || !good_name(place.connection))
    return exchange.respond(bad_request("A name has 1 to 1024 bytes."));
  if (!place.all.empty()) return exchange.respond(error(404, "NotFound", "There is no such operation."));
  Operation(hub, request, std::move(place)).run(std::move(exchange));
}

}  // namespace millrace::signalr
