#pragma once

#include <string>
#include <string_view>

#include "runner/config/fields.h"
#include "runner/stage/error.h"
#include "runner/stage/time.h"

namespace millrace::mqtt {

/// Files for TLS, all PEM. The broker is always verified, its name included; there is no switch to turn that off.
struct Tls {
  config::Path ca;    ///< empty: the system's
  config::Path cert;  ///< of this client; empty: none
  config::Path key;   ///< of `cert`; empty: in the file of `cert`

  static void describe(config::Fields<Tls>& f);
};

/// Which broker, and as whom: what every MQTT plugin's options have in common. A plugin's Config derives from it and calls
/// describe_broker().
struct Broker {
  std::string broker = "mqtt://127.0.0.1:1883";
  std::string client_id;  ///< empty: made of pipeline and stage
  std::string username;
  config::Secret password;
  Tls tls;
  Duration keep_alive{30s};
  Duration connect_timeout{10s};
};

/// An address as Paho wants it (`tcp://`, `ssl://`, `ws://`, `wss://`) from `mqtt://`, `mqtts://`, `ws://`, `wss://`, the
/// scheme's usual port added. The error says what is wrong with it.
Result<std::string> paho_address(std::string_view broker);

/// What is wrong with the options together, or nothing.
std::string problem_of(const Broker& broker);

template <class C>
void describe_broker(config::Fields<C>& f) {
  f.template field<std::string>("broker", &C::broker)
      .doc(
          "Address of the broker: `mqtt://HOST[:PORT]`, `mqtts://` (TLS), `ws://` or `wss://` (WebSocket); ports 1883, 8883, "
          "80, 443.");
  f.template field<std::string>("client_id", &C::client_id)
      .doc("Name of this client at the broker, which must be nobody else's; default: `millrace-PIPELINE-STAGE`.");
  f.template field<std::string>("username", &C::username).doc("User name at the broker.");
  f.template field<config::Secret>("password", &C::password)
      .doc("Password at the broker; better from `${file:PATH}` or `${cred:NAME}`.");
  f.template field<Tls>("tls", &C::tls)
      .doc("Files for `mqtts://` and `wss://`; the broker's certificate and name are always verified.");
  f.template field<Duration>("keep_alive", &C::keep_alive)
      .doc(
          "Time without traffic after which the connection is probed; a silent broker is found within one and a half times "
          "this.")
      .min(std::chrono::seconds(1))
      .max(std::chrono::hours(18));
  f.template field<Duration>("connect_timeout", &C::connect_timeout)
      .doc("How long the broker may take to answer when connecting or subscribing.")
      .min(std::chrono::seconds(1))
      .max(std::chrono::minutes(5));
  f.check({"broker"}, [](const C& c, config::CheckReport<C>& report) {
    if (auto address = paho_address(c.broker); !address) report.wrong("broker", address.error().what);
  });
  f.check({"broker", "tls"}, [](const C& c, config::CheckReport<C>& report) {
    if (!paho_address(c.broker)) return;
    if (std::string problem = problem_of(c); !problem.empty()) report.wrong("tls", problem);
  });
}

}  // namespace millrace::mqtt
