#pragma once

#include <catch2/catch.hpp>

#include <future>
#include <memory>
#include <string>
#include <string_view>

#include "plugins/signalr/attachment.h"
#include "plugins/signalr/methods.h"
#include "runner/http/listener.h"
#include "tests/support/socket_client.h"

namespace millrace::signalr::test {

using millrace::test::body_of;
using millrace::test::client_frame;
using millrace::test::http_exchange;
using millrace::test::http_get;
using millrace::test::SocketClient;
using millrace::test::status_of;

inline std::string upgrade(std::string_view target, std::string_view headers = {}) {
  return "GET " + std::string(target) +
         " HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
         std::string(headers) + "\r\n";
}

/// A frame with one hub message.
inline std::string hub_message(std::string_view text) { return client_frame(0x81, std::string(text) + '\x1e'); }

inline std::string handshake() { return hub_message(R"({"protocol":"json","version":1})"); }

inline std::string call(std::string_view id, std::string_view method, std::string_view arguments) {
  return hub_message(R"({"type":1,"invocationId":")" + std::string(id) + R"(","target":")" + std::string(method) +
                     R"(","arguments":)" + std::string(arguments) + "}");
}

/// The beginning of a record as clients get it, up to its number.
inline std::string value_of(std::string_view device, std::int64_t value) {
  return R"({"device":")" + std::string(device) + R"(","time":0,"fields":{"v":)" + std::to_string(value) + R"(},"seq":)";
}

/// A listener with a hub, at its default path and with a plain WebSocket unless told otherwise, and a stage's hold on it.
class LiveHub {
 public:
  /// `keys` are those of the tokens, which are looked at where clients bring them.
  explicit LiveHub(HubOptions with = {}, std::shared_ptr<http::TokenKeys> keys = nullptr)
      : listener({.address = {.port = 0}, .keys = std::move(keys)}), options(std::move(with)) {
    if (options.plain.empty()) options.plain = options.path + "/ws";
    port = listener.start().value();
    attachment = attach("live", options).value();
  }
  ~LiveHub() {
    attachment.reset();
    listener.stop();
  }

  /// Another stage's hold on the hub.
  Result<std::unique_ptr<Attachment>> attach(const std::string& stage, const HubOptions& with,
                                             const std::string& pipeline = "p") {
    return Attachment::attach(listener.routes(), with, pipeline, stage, add_telemetry_methods);
  }

  Hub& hub() { return attachment->hub(); }
  const HubCounters& counters() { return hub().counters(); }

  /// Publishes one record: telemetry of a device, or an alert if it has a key.
  void publish(std::string_view device, std::int64_t value, std::string_view key = {}) {
    Batch batch;
    Record& record = batch.append();
    record.device = device;
    record.fields.push(batch.arena(), "v", Value::integer(value));
    if (!key.empty()) {
      record.kind = kind::alert;
      record.fields.push(batch.arena(), "key", Value::string(key));
    }
    auto publication = std::make_shared<const Publication>(batch, "telemetry");
    while (!hub().publish(publication)) settle();
  }

  /// Runs something on the hub's thread, after all that was asked of it before.
  template <class Do>
  void on_loop(Do what) {
    std::promise<void> done;
    listener.routes().loop()->post([&] {
      what();
      done.set_value();
    });
    done.get_future().get();
  }
  void settle() {
    on_loop([] {});
  }

  /// Waits until the hub has so many clients; the deadline is the test's own.
  void wait_for_clients(std::size_t count) {
    while (counters().clients.value() != count) settle();
  }

  http::Listener listener;
  HubOptions options;
  std::uint16_t port = 0;
  std::unique_ptr<Attachment> attachment;
};

/// A client that has shaken hands.
class HubClient : public SocketClient {
 public:
  explicit HubClient(LiveHub& hub, int receive_buffer = 0) : SocketClient(hub.port, receive_buffer) {
    send(upgrade("/hubs/telemetry") + handshake());
    REQUIRE(read_until("{}\x1e"));
    received().clear();
  }

  std::size_t count(std::string_view text) {
    std::size_t n = 0;
    for (auto at = received().find(text); at != std::string::npos; at = received().find(text, at + 1)) ++n;
    return n;
  }
};

}  // namespace millrace::signalr::test
