#include "plugins/signalr/options.h"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>
#include <chrono>

namespace millrace::signalr {
namespace {

constexpr std::string_view none = "none";

/// As many clients as may well be of one user, a test of load for one, come at once.
constexpr double clients_at_once = 5000;

/// What is wrong with a path that something is to be served at; empty if nothing is.
std::string path_problem(std::string_view path) {
  if (!path.starts_with('/')) return "expected a path that begins with '/', such as /hubs/telemetry";
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return "expected a path of its own, such as /hubs/telemetry";
  if (path.find("//") != std::string_view::npos) return "expected a path without an empty part: '//'";
  for (char c : path) {
    bool plain = c > ' ' && c < '\x7f' && std::string_view("?#%*\\\"<>").find(c) == std::string_view::npos;
    if (!plain) return "expected a path of letters, digits and '-', '_', '.', '~' between slashes";
  }
  return {};
}

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// Whether `text` is a host and perhaps a port, as browsers write them in an origin: in lower case, the scheme's own port left
/// out.
bool is_authority(std::string_view text, std::string_view usual_port) {
  std::string_view host = text.substr(0, text.starts_with('[') ? text.find(']') + 1 : text.find(':'));
  std::string_view port = text.substr(host.size());
  if (port.starts_with(':')) {
    port.remove_prefix(1);
    if (!all_of(port, "0123456789") || port.size() > 5 || port == usual_port || port.starts_with('0')) return false;
  } else if (!port.empty()) {
    return false;
  }
  if (host.starts_with('[')) return host.size() > 2 && all_of(host.substr(1, host.size() - 2), "0123456789abcdef:.");
  return all_of(host, "abcdefghijklmnopqrstuvwxyz0123456789-._");
}

/// What is wrong with an origin; empty if browsers may send just this.
std::string origin_problem(std::string_view origin) {
  constexpr std::string_view wanted =
      "expected an origin as browsers send it, such as https://plant.example or http://10.0.0.7:8080";
  if (origin == "null") return "'null' is sent by pages of any origin, and is never let in";
  for (auto [scheme, port] : {std::pair<std::string_view, std::string_view>{"https://", "443"}, {"http://", "80"}})
    if (origin.starts_with(scheme) && is_authority(origin.substr(scheme.size()), port)) return {};
  // Those of applications in a shell of their own.
  auto scheme = origin.substr(0, origin.find("://"));
  bool own = scheme.size() + 3 < origin.size() && scheme != "http" && scheme != "https" && scheme != "file" &&
             all_of(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+-.") && is_authority(origin.substr(scheme.size() + 3), "");
  if (own) return {};
  return fmt::format("{}: in lower case, without a path, a slash at the end or the scheme's own port", wanted);
}

void check_paths(const Options& options, config::CheckReport<Options>& report) {
  if (auto problem = path_problem(options.hub); !problem.empty()) return report.wrong("hub", problem);
  if (!options.plain.empty() && options.plain != none) {
    if (auto problem = path_problem(options.plain); !problem.empty()) {
      report.wrong("plain", problem + ", or `none`");
    } else {
      HubOptions hub = options.hub_options();
      if (options.plain == hub.path || options.plain == hub.path + "/" || options.plain == hub.path + "/negotiate")
        report.wrong("plain", fmt::format("'{}' is the hub's own; expected another path", options.plain));
    }
  }
  if (!options.rest.empty() && options.rest != none) {
    bool named = options.rest.size() <= 128 && std::isalpha(static_cast<unsigned char>(options.rest[0])) &&
                 path_problem("/" + options.rest).empty() && options.rest.find('/') == std::string::npos;
    if (!named)
      report.wrong("rest",
                   "expected a name that begins with a letter, of at most 128 letters, digits, '-', '_' and '.', or `none`");
  }
}

}  // namespace

std::vector<std::string> paths_of(const HubOptions& options) {
  std::vector<std::string> paths{options.path, options.path + "/negotiate"};
  if (!options.plain.empty()) paths.push_back(options.plain);
  if (!options.rest.empty()) paths.push_back("/api/hubs/" + options.rest);
  return paths;
}

using config::Bytes;
using config::Fields;

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
  auto parse = [](const std::string& text, TextTemplate& into) -> Result<void> {
    if (text.empty()) return invalid("'': expected a name, with fields in braces: device:{device}");
    auto parsed = TextTemplate::parse(text);
    if (!parsed) return invalid(fmt::format("'{}': {}", text, parsed.error().what));
    into = std::move(*parsed);
    return {};
  };
  if (auto parsed = parse(name, made.name); !parsed) return parsed.error();
  for (const std::string& one : except)
    if (auto parsed = parse(one, made.except.emplace_back()); !parsed) return parsed.error();
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
          "not given.")
      .one_of({"connections", "messages"});
  f.field("events", &Receiver::events).doc("Names of events or methods; all if not given.");
  f.check([](const Receiver& receiver, config::CheckReport<Receiver>& report) {
    if (!receiver.url.starts_with("http://") && !receiver.url.starts_with("https://"))
      report.wrong("url", "expected a URL that begins with http:// or https://");
  });
}

namespace {

void describe_paths(Fields<Options>& f) {
  f.field("hub", &Options::hub).doc("Path of the SignalR hub on the pipeline's listener. Stages of a pipeline may share one.");
  f.field("plain", &Options::plain)
      .doc(
          "Path of a plain WebSocket that carries the same records as JSON lines; by default the hub's path followed by /ws, "
          "and `none` for none. `?device=ID`, once or more often, restricts it to these devices.");
  f.field("rest", &Options::rest)
      .doc(
          "Name of the hub at /api/hubs/NAME, where programs send with tokens that have the right `command`, as they do with "
          "Azure SignalR Service; by default the last part of the hub's path, and `none` for not at all.");
}

void describe_messages(Fields<Options>& f) {
  f.field("target", &Options::target).doc("Client method that receives telemetry, as a list of records. Alerts go to `alert`.");
  f.field("to", &Options::to)
      .doc(
          "Who gets the stage's records: `all`, or a `group`, `user` or `connection`. If not given, those who have not "
          "subscribed to anything, and the subscribers of the record's device.");
  f.choice("arguments", &Options::arguments,
           {{"list", Shape::list}, {"object", Shape::object}, {"text", Shape::text}, {"list_text", Shape::list_text}})
      .doc("The argument of the client's method: a list of records, one record a call, or the JSON text of either.");
  f.field("envelope", &Options::envelope)
      .doc("Telemetry goes out with device, time, seq and epoch around its fields; false sends the fields alone.");
  f.field("messages", &Options::messages)
      .doc(
          "Each record is a message, {target, arguments} with connectionId, userId or groupName, as Azure Functions' SignalR "
          "output takes it, and is sent as it says; `to`, `target`, `arguments` and `envelope` then mean nothing.");
}

void describe_clients(Fields<Options>& f) {
  f.field("token_lifetime", &Options::token_lifetime)
      .doc(
          "How long the token is good that negotiate hands out to who has brought one; the connection ends with it, unless the "
          "client renews.")
      .min(1s)
      .max(24h);
  f.field("connection_lifetime", &Options::connection_lifetime)
      .doc(
          "How long a connection lives at least, for clients that cannot renew; never longer than the token they negotiated "
          "with.")
      .max(8784h);
  f.field("history", &Options::history).doc("What is kept for clients that have missed records.");
  f.field("upstream", &Options::upstream)
      .doc(
          "Web servers that hear of clients that come and go and answer the calls that the hub does not know, as with Azure "
          "SignalR Service; the first that matches gets the event.");
  f.field("upstream_keys", &Options::upstream_keys)
      .doc(
          "Keys, at most two, that sign what is posted; those of the tokens if not given, which whoever checks the signature "
          "can mint tokens with.");
  f.field("origins", &Options::origins)
      .doc(
          "Origins of web pages that may connect, exactly as browsers send them (`https://plant.example`), besides the "
          "listener's own page.");
}

void describe_queues(Fields<Options>& f) {
  f.field("client_queue", &Options::client_queue)
      .doc("How much may wait for one client that does not keep up, in the process and again in the kernel.")
      .min(Bytes{4U << 10U})
      .max(Bytes{1U << 30U});
  f.choice("slow_client", &Options::slow_client,
           {{"newest", SlowClient::newest}, {"drop_oldest", SlowClient::drop_oldest}, {"disconnect", SlowClient::disconnect}})
      .doc(
          "What happens to telemetry for a client whose queue is full: it gets the newest record of each series once it reads "
          "again, loses the oldest, or is disconnected. Alerts are never dropped: where they find no room the client is "
          "disconnected and may reconnect.");
  f.field("flush", &Options::flush)
      .doc(
          "How long records may gather before they go out together; 0 sends at once. A few milliseconds save most of the cost "
          "with many clients.")
      .max(10s);
  f.field("replay_buffer", &Options::replay_buffer)
      .doc(
          "How much that a client with stateful reconnect has not acknowledged is kept to be sent again, shared with the other "
          "clients; beyond, this client waits. 0B does not offer stateful reconnect.")
      .max(Bytes{1U << 30U});
}

void describe_limits(Fields<Options>& f) {
  f.field("message_size", &Options::message_size)
      .doc("The longest message that a client may send; a longer one ends its connection.")
      .min(Bytes{1U << 10U})
      .max(Bytes{1U << 20U});
  f.field("message_rate", &Options::message_rate)
      .doc("Messages a second that one client may send, and at once; what comes faster waits with the client, and is not lost.")
      .min(1)
      .max(1'000'000);
  f.field("negotiate_rate", &Options::negotiate_rate)
      .doc(
          "Negotiations a second of one user, or of one address where no token names a user, and 5000 at once; more are "
          "answered with 429 and Retry-After. All clients behind one proxy have its address; this machine's own has no limit.")
      .min(1)
      .max(1'000'000);
  f.field("rest_rate", &Options::rest_rate)
      .doc("Requests a second to the hub's REST of one user or address, likewise; five times as many at once.")
      .min(1)
      .max(1'000'000);
  f.field("keep_alive", &Options::keep_alive)
      .doc("After so long a silence a client is sent a ping; clients expect one every 15 s.")
      .min(100ms)
      .max(1h);
  f.field("client_timeout", &Options::client_timeout)
      .doc("A client that has been silent for so long, though asked, is disconnected, and may reconnect.")
      .min(100ms)
      .max(24h);
  f.field("handshake_timeout", &Options::handshake_timeout)
      .doc("How long a client may take to say which protocol it speaks.")
      .min(100ms)
      .max(1h);
  f.field("max_connections", &Options::max_connections)
      .doc("Clients of the hub at a time; more are refused.")
      .min(1)
      .max(1'000'000);
  f.field("max_connections_per_user", &Options::max_connections_per_user)
      .doc(
          "Of these, those of one user, or of one address where no token names a user, at a time; more are answered with 429. "
          "By "
          "default half of `max_connections`. All clients behind one proxy have its address; this machine's own has no limit.")
      .min(1)
      .max(1'000'000);
  f.field("series", &Options::series)
      .doc(
          "Series (device and set of field names) whose latest record is kept for clients that join or fall behind; beyond, "
          "the one silent for longest makes room.")
      .min(1)
      .max(1'000'000);
}

}  // namespace

void Options::describe(Fields<Options>& f) {
  describe_paths(f);
  describe_messages(f);
  describe_clients(f);
  describe_queues(f);
  describe_limits(f);
  f.check({"hub", "plain", "rest"}, check_paths);
  f.check({"origins"}, [](const Options& options, config::CheckReport<Options>& report) {
    for (std::size_t i = 0; i < options.origins.size(); ++i)
      if (auto problem = origin_problem(options.origins[i]); !problem.empty())
        report.wrong_at({"origins", std::to_string(i)}, std::move(problem));
  });
  f.check({"max_connections", "max_connections_per_user"}, [](const Options& options, config::CheckReport<Options>& report) {
    if (options.max_connections_per_user && *options.max_connections_per_user > options.max_connections)
      report.wrong("max_connections_per_user",
                   fmt::format("expected at most the hub's `max_connections`, {}", options.max_connections));
  });
  f.check({"target"}, [](const Options& options, config::CheckReport<Options>& report) {
    if (options.target.empty()) report.wrong("target", "expected the name of a method of the clients, such as telemetry");
  });
}

HubOptions Options::hub_options() const {
  HubOptions made;
  made.path = hub;
  while (made.path.size() > 1 && made.path.ends_with('/')) made.path.pop_back();
  made.plain = plain.empty() ? made.path + "/ws" : plain == none ? "" : plain;
  made.rest = rest.empty() ? made.path.substr(made.path.rfind('/') + 1) : rest == none ? "" : rest;
  made.origins = origins;
  made.client_queue = client_queue.count;
  made.slow_client = slow_client;
  made.max_connections = max_connections;
  made.max_connections_per_user = max_connections_per_user.value_or(std::max<std::uint32_t>(max_connections / 2, 1));
  made.series = series;
  made.replay_bytes = replay_buffer.count;
  made.message_bytes = message_size.count;
  made.message_rate = message_rate;
  made.negotiations = {.per_second = double(negotiate_rate), .at_once = std::max(clients_at_once, double(negotiate_rate))};
  made.rest_requests = {.per_second = double(rest_rate), .at_once = 5.0 * rest_rate};
  made.keep_alive = std::chrono::ceil<HubOptions::Time>(keep_alive);
  made.client_timeout = std::chrono::ceil<HubOptions::Time>(client_timeout);
  made.handshake_timeout = std::chrono::ceil<HubOptions::Time>(handshake_timeout);
  made.token_lifetime = std::chrono::ceil<HubOptions::Time>(token_lifetime);
  made.connection_lifetime = std::chrono::ceil<HubOptions::Time>(connection_lifetime);
  made.history = {
      .records = history.records, .bytes = history.bytes.count, .age = std::chrono::ceil<HubOptions::Time>(history.age)};
  for (const Receiver& receiver : upstream)
    made.upstream.push_back({.url = receiver.url, .categories = receiver.categories, .events = receiver.events});
  for (const config::Secret& key : upstream_keys) made.upstream_keys.push_back(key.text);
  made.flush = std::chrono::ceil<HubOptions::Time>(flush);
  return made;
}

Outlet Options::outlet() const {
  Outlet made{.target = target, .shape = arguments, .envelope = envelope, .messages = messages};
  if (to) made.to = to->addressing().value();  // checked with the file
  return made;
}

}  // namespace millrace::signalr
