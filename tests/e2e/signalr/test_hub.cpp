// A hub for tests of clients, on the hub server that the signalr stage is written on. Prints its port as JSON, then reads one
// command a line from standard input, and ends with it:
//   {"publish": [{"device", "value", "pad"?, "kind"?}]}   one batch
//   {"retire": true}                                      closes the hub as a removed stage does, and opens a new one
// and after each writes the hub's counters as one JSON line. Options of the hub come as JSON in the first argument.

#include <iostream>
#include <nlohmann/json.hpp>

#include "plugins/signalr/attachment.h"
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
  options.origins = from.value("origins", options.origins);
  return options;
}

void add_test_methods(signalr::Hub& hub) {
  signalr::add_telemetry_methods(hub);
  hub.method("Echo", [](signalr::Call call) {
    if (call.arguments.size() != 1) return call.fail("Echo takes one argument.");
    call.result(call.arguments[0]);
  });
  hub.method("ThrowException", [](signalr::Call call) {
    std::string text = call.arguments.empty() ? "" : call.arguments[0].get<std::string>();
    call.fail("An unexpected error occurred invoking 'ThrowException' on the server. InvalidOperationException: " + text);
  });
  hub.method("GetActiveTransportName", [](signalr::Call call) {
    if (auto caller = call.caller()) call.result(caller->transport_name());
  });
  hub.method("InvokeWithString", [](signalr::Call call) {
    auto caller = call.caller();
    if (caller) caller->invoke_client("Message", call.arguments);
  });
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
          {"ended_slow", c.ended_slow.value()},
          {"ended_timeout", c.ended_timeout.value()},
          {"ended_protocol", c.ended_protocol.value()}};
}

}  // namespace

int main(int argc, char** argv) {
  signalr::HubOptions options = read_options(argc > 1 ? json::parse(argv[1]) : json::object());
  http::Listener listener({.address = {.port = 0}});
  auto attach = [&] {
    return signalr::Attachment::attach(listener.routes(), options, "test", "hub", add_test_methods).value();
  };
  auto port = listener.start();
  if (!port) {
    std::cerr << port.error().what << '\n';
    return 1;
  }
  auto hub = attach();
  std::cout << json{{"port", *port}} << std::endl;

  std::string line;
  while (std::getline(std::cin, line)) {
    json command = json::parse(line);
    if (command.contains("publish")) {
      auto batch = read_batch(command["publish"]);
      while (!hub->hub().publish(batch)) std::this_thread::yield();
    }
    if (command.contains("retire")) {
      hub.reset();
      hub = attach();
    }
    std::cout << figures(hub->hub().counters()) << std::endl;
  }
  hub.reset();
  listener.stop();
}
