// A hub for tests of clients, on the hub server that the signalr stage is written on: at /testhub, without WebSockets at
// /testhub-nowebsockets, with a token of /generateJwtToken at /authorizedhub, and what faces.h adds. It offers the endpoints
// and methods that the functional tests of Microsoft's TypeScript client call. Prints its port as JSON, then reads one command
// a line from standard input, and ends with it:
//   {"publish": [{"device", "value", "pad"?, "kind"?}]}   one batch, with those of the commands behind it that have come
//   already
//   {"retire": true}                                      closes the hub as a removed stage does, and opens a new one
// and after each writes the hub's counters as one JSON line. Options of the hub come as JSON in the first argument; with "tls":
// {"cert", "key"} everything is there a second time over TLS, at the port printed as "secure_port"; with "secure": true it is
// that hub which the commands are for.

#include <fmt/core.h>

#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "faces.h"
#include "plugins/signalr/attachment.h"
#include "plugins/signalr/messagepack.h"
#include "plugins/signalr/methods.h"
#include "runner/http/listener.h"

using namespace millrace;
using nlohmann::json;

namespace {

signalr::HubOptions read_options(const json& from) {
  using Time = signalr::HubOptions::Time;
  signalr::HubOptions options;
  options.path = "/testhub";
  options.plain = "/testhub/ws";
  options.client_queue = from.value("client_queue", options.client_queue);
  options.keep_alive = Time(from.value("keep_alive", options.keep_alive.count()));
  options.client_timeout = Time(from.value("client_timeout", options.client_timeout.count()));
  options.flush = Time(from.value("flush", options.flush.count()));
  options.poll_timeout = Time(from.value("poll_timeout", options.poll_timeout.count()));
  options.attach_timeout = Time(from.value("attach_timeout", options.attach_timeout.count()));
  options.message_rate = from.value("message_rate", options.message_rate);
  options.max_connections = from.value("max_connections", options.max_connections);
  options.replay_bytes = from.value("replay", options.replay_bytes);
  options.origins = from.value("origins", options.origins);
  return options;
}

std::string failure(std::string_view method, std::string_view error) {
  return fmt::format("An unexpected error occurred invoking '{}' on the server. {}", method, error);
}

std::string text_argument(const signalr::Call& call) {
  return call.arguments.empty() || !call.arguments[0].is_string() ? "" : call.arguments[0].get<std::string>();
}

void echo(signalr::Call call) {
  if (call.arguments.size() != 1) return call.fail("One argument is expected.");
  call.result(call.arguments[0]);
}

json complex_object() {
  std::vector<std::uint8_t> year_2000{0x38, 0x6D, 0x43, 0x80};
  return {{"ByteArray", json::binary({1, 2, 3})},
          {"DateTime", json::binary(year_2000, signalr::messagepack::timestamp)},
          {"Guid", "00010203-0405-0607-0706-050403020100"},
          {"IntArray", {1, 2, 3}},
          {"String", "hello world"}};
}

void add_calls(signalr::Hub& hub) {
  hub.method("Echo", echo);
  hub.method("EchoComplexObject", echo);
  hub.method("SendComplexObject", [](signalr::Call call) { call.result(complex_object()); });
  hub.method("ThrowException", [](signalr::Call call) {
    call.fail(failure("ThrowException", "InvalidOperationException: " + text_argument(call)));
  });
  hub.method("GetCallerConnectionId", [](signalr::Call call) {
    if (auto caller = call.caller()) call.result(caller->id());
  });
  hub.method("GetActiveTransportName", [](signalr::Call call) {
    if (auto caller = call.caller()) call.result(caller->transport_name());
  });
  hub.method("InvokeWithString", [](signalr::Call call) {
    if (auto caller = call.caller()) caller->invoke_client("Message", call.arguments);
  });
  hub.method("SendCustomObject", [](signalr::Call call) {
    if (auto caller = call.caller()) caller->invoke_client("CustomObject", call.arguments);
  });
  // Keeps what the caller sends, until it asks for it.
  auto collected = std::make_shared<std::map<std::string, json>>();
  hub.method("Collect", [collected](signalr::Call call) {
    if (auto caller = call.caller()) (*collected)[caller->id()].push_back(call.arguments.at(0));
  });
  hub.method("Collected", [collected](signalr::Call call) {
    if (auto caller = call.caller()) call.result((*collected)[caller->id()]);
  });
  // Returns what the caller's own method of that name has returned for the remaining arguments.
  hub.method("CallBack", [](signalr::Call call) {
    std::string target = text_argument(call);
    json arguments(call.arguments.begin() + 1, call.arguments.end());
    auto caller = call.caller();
    auto kept = std::make_shared<signalr::Call>(std::move(call));
    if (caller)
      caller->invoke_client(target, arguments, [kept](signalr::ClientResult result) {
        if (result.error) return kept->fail(*result.error);
        kept->result(result.value);
      });
  });
}

void add_streams(signalr::Hub& hub) {
  hub.stream("Stream", [](signalr::Call call) {
    for (auto item : {"a", "b", "c"}) call.item(item);
  });
  hub.stream("EmptyStream", [](signalr::Call) {});
  hub.stream("StreamThrowException", [](signalr::Call call) {
    call.fail(failure("StreamThrowException", "InvalidOperationException: " + text_argument(call)));
  });
  hub.stream("InfiniteStream", [](signalr::Call call) {
    auto caller = call.caller();
    auto kept = std::make_shared<signalr::Call>(std::move(call));
    kept->when_cancelled([kept, weak = std::weak_ptr(caller)] {
      if (auto client = weak.lock()) client->invoke_client("StreamCanceled", json::array());
    });
  });
  // Numbers from 0 on, as many as the argument says, as fast as the client reads them.
  hub.stream("Count", [](signalr::Call call) {
    struct Counting : std::enable_shared_from_this<Counting> {
      explicit Counting(signalr::Call with) : call(std::move(with)) {}
      void go() {
        for (int i = 0; i < 100 && next < end; ++i)
          if (!call.item(next++)) return;
        if (next < end) call.when_drained([self = shared_from_this()] { self->go(); });
      }
      signalr::Call call;
      int next = 0;
      int end = call.arguments[0].get<int>();
    };
    std::make_shared<Counting>(std::move(call))->go();
  });
  hub.method(
      "StreamingConcat",
      [](signalr::Call call) {
        auto kept = std::make_shared<signalr::Call>(std::move(call));
        auto text = std::make_shared<std::string>();
        kept->receive(0,
                      {.item = [text](const json& item) { *text += item.is_string() ? item.get<std::string>() : item.dump(); },
                       .end =
                           [kept, text](const std::optional<std::string>& error) {
                             if (error) return kept->fail(failure("StreamingConcat", "HubException: " + *error));
                             kept->result(*text);
                           }});
      },
      1);
}

/// What the client's first request said.
void add_request_methods(signalr::Hub& hub) {
  auto requests = std::make_shared<std::map<std::string, http::Request>>();
  hub.on_connect([requests](signalr::Connection& client, const http::Request& request) { (*requests)[client.id()] = request; });
  hub.on_disconnect([requests](signalr::Connection& client) { requests->erase(client.id()); });

  auto header = [requests](signalr::Call& call, const std::string& name) {
    auto caller = call.caller();
    const std::string* value = caller ? (*requests)[caller->id()].header(name) : nullptr;
    call.result(value ? json(*value) : json());
  };
  hub.method("GetHeader", [header](signalr::Call call) { header(call, text_argument(call)); });
  hub.method("GetContentTypeHeader", [header](signalr::Call call) { header(call, "Content-Type"); });
  hub.method("GetCookie", [requests](signalr::Call call) {
    auto caller = call.caller();
    const std::string* cookies = caller ? (*requests)[caller->id()].header("Cookie") : nullptr;
    std::string wanted = text_argument(call) + "=";
    std::istringstream all(cookies ? *cookies : "");
    for (std::string one; std::getline(all >> std::ws, one, ';');)
      if (one.starts_with(wanted)) return call.result(one.substr(wanted.size()));
    call.result(json());
  });
  hub.method("GetNumRedirects", [requests](signalr::Call call) {
    auto caller = call.caller();
    auto count = caller ? (*requests)[caller->id()].parameter("numRedirects") : std::nullopt;
    call.result(count ? std::stoi(*count) : 0);
  });
}

void add_test_methods(signalr::Hub& hub) {
  signalr::add_telemetry_methods(hub);
  add_calls(hub);
  add_streams(hub);
  add_request_methods(hub);
}

std::shared_ptr<const signalr::Publication> read_batch(const json& records) {
  Batch batch;
  for (const json& from : records) {
    Record& record = batch.append();
    record.device = batch.arena().copy(from.value("device", ""));
    record.kind = batch.arena().copy(from.value("kind", std::string(kind::telemetry)));
    record.fields.push(batch.arena(), "value", Value::integer(from.value("value", 0)));
    if (from.contains("pad"))
      record.fields.push(batch.arena(), "pad",
                         Value::string(batch.arena().copy(std::string(from["pad"].get<std::size_t>(), 'p'))));
  }
  return std::make_shared<const signalr::Publication>(batch, "telemetry");
}

json figures(const signalr::HubCounters& c) {
  return {{"clients", c.clients.value()},
          {"conflated", c.conflated.value()},
          {"dropped", c.dropped.value()},
          {"frames", c.frames.value()},
          {"records", c.records.value()},
          {"resumed", c.resumed.value()},
          {"ended_slow", c.ended_slow.value()},
          {"ended_timeout", c.ended_timeout.value()},
          {"ended_protocol", c.ended_protocol.value()}};
}

}  // namespace

using Attached = std::unique_ptr<signalr::Attachment>;

Attached attach(http::Routes& routes, const signalr::HubOptions& options,
                const signalr::HubDirectory::Prepare& prepare = add_test_methods) {
  return signalr::Attachment::attach(routes, options, "test", options.path, prepare).value();
}

/// The same hub without WebSockets.
signalr::HubOptions without_websockets(signalr::HubOptions options) {
  options.path += "-nowebsockets";
  options.plain.clear();
  options.transports.websockets = false;
  return options;
}

/// Only with a token.
signalr::HubOptions authorized(signalr::HubOptions options) {
  options.path = "/authorizedhub";
  options.plain.clear();
  return options;
}

/// One listener with everything that clients are offered, plain or over TLS.
class Site {
 public:
  Site(const signalr::HubOptions& options, const test::Faces& faces, std::optional<http::Tls> tls)
      : options_(options), faces_(faces), listener_({.address = {.port = 0}, .tls = std::move(tls)}) {}

  ~Site() {
    hubs_.clear();
    hub_.reset();
    listener_.stop();
  }

  Result<std::uint16_t> start() {
    auto port = listener_.start();
    if (!port) return port;
    open();
    hubs_.push_back(attach(listener_.routes(), without_websockets(options_)));
    hubs_.push_back(attach(listener_.routes(), authorized(options_), [tokens = faces_.tokens](signalr::Hub& made) {
      add_calls(made);
      made.authorize([tokens](const http::Request& request) { return tokens.allow(request); });
    }));
    hubs_.push_back(attach(listener_.routes(), {.path = "/echo", .plain = "", .origins = options_.origins},
                           [secure = faces_.secure](signalr::Hub& made) { test::serve_echo(made, secure); }));
    routes_ = test::add_faces(listener_.routes(), faces_, current_);
    return port;
  }

  signalr::Hub& hub() { return hub_->hub(); }

  /// Closes the hub as a removed stage does, and opens a new one.
  void retire() {
    hub_.reset();
    open();
  }

 private:
  void open() {
    hub_ = attach(listener_.routes(), options_, [current = current_, secure = faces_.secure](signalr::Hub& made) {
      add_test_methods(made);
      made.negotiate_with(test::negotiation_cookies(secure));
      *current = made.weak_from_this();
    });
  }

  signalr::HubOptions options_;
  test::Faces faces_;
  http::Listener listener_;
  std::shared_ptr<std::weak_ptr<signalr::Hub>> current_ = std::make_shared<std::weak_ptr<signalr::Hub>>();
  Attached hub_;
  std::vector<Attached> hubs_;  ///< the others
  std::vector<http::Route> routes_;
};

/// Takes commands until there are no more.
void serve(Site& site) {
  std::string line;
  json records = json::array();
  while (std::getline(std::cin, line)) {
    json command = json::parse(line);
    if (command.contains("publish")) records.insert(records.end(), command["publish"].begin(), command["publish"].end());
    if (!records.empty() && (!command.contains("publish") || std::cin.rdbuf()->in_avail() <= 0)) {
      auto batch = read_batch(std::exchange(records, json::array()));
      while (!site.hub().publish(batch)) std::this_thread::yield();
    }
    if (command.contains("retire")) site.retire();
    std::cout << figures(site.hub().counters()) << std::endl;
  }
}

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);  // so that it shows what has come already
  json argument = argc > 1 ? json::parse(argv[1]) : json::object();
  signalr::HubOptions options = read_options(argument);
  test::Faces faces{.origins = options.origins, .webworker = argument.value("webworker", "")};
  Site site(options, faces, std::nullopt);
  auto port = site.start();
  std::optional<Site> secure;
  Result<std::uint16_t> secure_port = 0;
  if (argument.contains("tls")) {
    faces.secure = true;
    secure.emplace(options, faces, http::Tls{argument["tls"].value("cert", ""), argument["tls"].value("key", "")});
    secure_port = secure->start();
  }
  if (!port || !secure_port) {
    std::cerr << (port ? secure_port : port).error().what << '\n';
    return 1;
  }
  std::cout << json{{"port", *port}, {"secure_port", *secure_port}} << std::endl;
  serve(argument.value("secure", false) ? *secure : site);
}
