#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plugins/signalr/hub.h"
#include "runner/config/fields.h"

namespace millrace::signalr {

/// `to`: who gets what.
struct To {
  std::string audience;
  std::string group, user, connection;
  std::vector<std::string> except;

  static void describe(config::Fields<To>& f);
  Result<Addressing> addressing() const;
};

/// `history`: what is kept for clients that missed something.
struct Kept {
  std::uint32_t records = 100;
  config::Bytes bytes{16U << 20U};
  Duration age = 5min;

  static void describe(config::Fields<Kept>& f);
};

/// `upstream`: who is told of the hub's clients.
struct Receiver {
  std::string url;
  std::vector<std::string> categories, events;

  static void describe(config::Fields<Receiver>& f);
};

/// The stage's options.
struct Options {
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
  config::Bytes client_queue{64U << 10U};
  SlowClient slow_client = SlowClient::newest;
  Duration flush{0};
  config::Bytes replay_buffer{100'000};
  config::Bytes message_size{32U << 10U};
  std::uint32_t message_rate = 1000;
  std::uint32_t negotiate_rate = 200;
  std::uint32_t rest_rate = 5000;
  Duration keep_alive = 15s;
  Duration client_timeout = 30s;
  Duration handshake_timeout = 15s;
  std::uint32_t max_connections = 10'000;
  std::optional<std::uint32_t> max_connections_per_user;
  std::uint32_t series = 10'000;

  static void describe(config::Fields<Options>& f);

  /// What the hub is made with, which stages that share it must agree on.
  HubOptions hub_options() const;

  /// What is the stage's own.
  Outlet outlet() const;
};

/// Every path that a hub claims, REST's as what is in front of the rest of its paths.
std::vector<std::string> paths_of(const HubOptions& options);

}  // namespace millrace::signalr
