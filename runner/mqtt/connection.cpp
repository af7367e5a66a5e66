#include "runner/mqtt/connection.h"

#include <fmt/core.h>
#include <mqtt/async_client.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "runner/mqtt/tls_problem.h"

namespace millrace::mqtt {
namespace {

/// CONNACK return codes of MQTT 3.1.1, table 3.1, and what a person can do about them.
std::string refusal(int code, const Broker& broker) {
  switch (code) {
    case 1: return "it does not speak MQTT 3.1.1";
    case 2: return fmt::format("it does not accept the client_id '{}'", broker.client_id);
    case 3: return "the server is unavailable";
    case 4: return "bad user name or password";
    case 5:
      // Mosquitto says "not authorised" for a wrong password, too.
      if (broker.username.empty()) return "not authorised: set username and password, or a certificate, that the broker knows";
      return "bad user name or password, or this user may not connect";
    default: return fmt::format("code {}", code);
  }
}

constexpr int most_buffered = 65'535;

std::string granted_problem(const ::mqtt::token& token, const std::vector<std::string>& topics) {
  auto codes = token.get_subscribe_response().get_reason_codes();
  for (std::size_t i = 0; i < codes.size() && i < topics.size(); ++i)
    if (static_cast<int>(codes[i]) >= 0x80) return topics[i];
  return {};
}

}  // namespace

struct Connection::Impl {
  Impl(Broker b, bool clean, Handlers h)
      : broker(std::move(b)), clean_session(clean), handlers(std::move(h)), action(*this), delivery(*this) {}

  /// Wakes the waiting thread when an action ends. Paho calls on threads of its own.
  struct Action final : ::mqtt::iaction_listener {
    explicit Action(Impl& i) : impl(i) {}
    void on_success(const ::mqtt::token&) override {
      impl.notify([] {});
    }
    void on_failure(const ::mqtt::token&) override {
      impl.notify([] {});
    }
    Impl& impl;
  };

  struct Delivery final : ::mqtt::iaction_listener {
    explicit Delivery(Impl& i) : impl(i) {}
    void on_success(const ::mqtt::token&) override {
      bool all = false;
      impl.notify([&] { all = --impl.under_way == 0; });
      if (all && impl.handlers.all_delivered) impl.handlers.all_delivered();
    }
    // It stays under way: whoever waits for it hears of the failure.
    void on_failure(const ::mqtt::token&) override {
      impl.notify([this] { impl.lost = true; });
      if (impl.handlers.lost) impl.handlers.lost();
    }
    Impl& impl;
  };

  template <class F>
  void notify(F&& change) {
    std::lock_guard lock(mutex);
    change();
    changed.notify_all();
  }

  Error failed(std::string_view what) const { return unavailable(fmt::format("{} {}", broker.broker, what)); }

  /// Waits for an action of Paho's to end well; why() words its failure.
  template <class Why>
  Result<void> await(const ::mqtt::token_ptr& token, const std::stop_token& stop, Why&& why) {
    {
      std::unique_lock lock(mutex);
      bool ended = changed.wait_for(lock, stop, broker.connect_timeout, [&] { return token->is_complete() || lost; });
      if (stop.stop_requested()) return failed("was given up: the stage stops");
      if (!token->is_complete()) return failed(ended ? "closed the connection" : "did not answer in time");
    }
    try {
      token->wait();
    } catch (const ::mqtt::exception& e) {
      return failed(why(e));
    }
    return {};
  }

  ::mqtt::connect_options options() {
    ::mqtt::connect_options options;
    options.set_mqtt_version(MQTTVERSION_3_1_1);
    options.set_clean_session(clean_session);
    options.set_keep_alive_interval(std::chrono::ceil<std::chrono::seconds>(broker.keep_alive));
    options.set_connect_timeout(std::chrono::ceil<std::chrono::seconds>(broker.connect_timeout));
    options.set_automatic_reconnect(false);
    if (!broker.username.empty()) options.set_user_name(broker.username);
    if (!broker.password.empty()) options.set_password(broker.password.text);
    if (secure()) options.set_ssl(tls_options());
    return options;
  }

  ::mqtt::ssl_options tls_options() {
    ::mqtt::ssl_options tls;
    tls.set_enable_server_cert_auth(true);
    tls.set_verify(true);
    if (!broker.tls.ca.path.empty()) tls.set_trust_store(broker.tls.ca.path.string());
    if (!broker.tls.cert.path.empty()) tls.set_key_store(broker.tls.cert.path.string());
    if (!broker.tls.key.path.empty()) tls.set_private_key(broker.tls.key.path.string());
    // No set_error_handler(): Paho C++ 1.2 hands the library the address of a copy that ends with connect().
    return tls;
  }

  std::string why_not_connected(const ::mqtt::exception& e, const std::stop_token& stop) {
    if (e.get_return_code() > 0) return "refused the connection: " + refusal(e.get_return_code(), broker);
    std::string why = e.get_message().empty() ? "no connection" : e.get_message();
    const std::string address = paho_address(broker.broker).value();
    // Without TLS only the network is asked why, which mostly says so at once; the library has waited its full time already.
    std::string problem = secure() ? tls_problem(address, broker.tls, broker.connect_timeout, stop)
                                   : network_problem(address, std::min<Duration>(broker.connect_timeout, 2s), stop);
    if (!problem.empty()) why = std::move(problem);
    return "cannot be reached: " + why;
  }

  bool secure() const { return broker.broker.starts_with("mqtts:") || broker.broker.starts_with("wss:"); }

  Result<void> under_way_at_most(std::size_t limit, const std::stop_token& stop) {
    std::unique_lock lock(mutex);
    changed.wait(lock, stop, [&] { return under_way <= limit || lost; });
    if (lost) return failed("closed the connection");
    if (under_way > limit) return failed("was given up: the stage stops");
    return {};
  }

  void arrived(const ::mqtt::const_message_ptr& m) noexcept {
    // An exception would cross the library's C frames; there is nothing that may throw here but memory running out.
    handlers.message({m->get_topic(), m->get_payload(), m->get_qos(), m->is_retained()});
  }

  Broker broker;
  bool clean_session;
  Handlers handlers;

  std::mutex mutex;
  std::condition_variable_any changed;
  bool lost = false;
  std::size_t under_way = 0;

  Action action;
  Delivery delivery;
  std::unique_ptr<::mqtt::async_client> client;  // ends first: its callbacks use all of the above
};

Connection::Connection(Broker broker, bool clean_session, Handlers handlers)
    : impl_(std::make_unique<Impl>(std::move(broker), clean_session, std::move(handlers))) {}

Connection::~Connection() {
  if (!impl_->client) return;
  try {
    if (impl_->client->is_connected()) impl_->client->disconnect(0)->wait_for(std::chrono::seconds(1));
  } catch (const ::mqtt::exception&) {
    // The broker went away in between, which is where we wanted to get.
  }
}

Result<void> Connection::open(const std::stop_token& stop) {
  Impl& impl = *impl_;
  auto address = paho_address(impl.broker.broker);
  if (!address) return address.error();
  try {
    // How much may be under way is publish()'s window to say; the library's own limit, of 100, would refuse a burst.
    auto options = ::mqtt::create_options_builder().max_buffered_messages(most_buffered).finalize();
    impl.client = std::make_unique<::mqtt::async_client>(address.value(), impl.broker.client_id, options);
    impl.client->set_connection_lost_handler([&impl](const std::string&) {
      impl.notify([&] { impl.lost = true; });
      if (impl.handlers.lost) impl.handlers.lost();
    });
    if (impl.handlers.message) impl.client->set_message_callback([&impl](::mqtt::const_message_ptr m) { impl.arrived(m); });
    auto token = impl.client->connect(impl.options(), nullptr, impl.action);
    return impl.await(token, stop, [&](const ::mqtt::exception& e) { return impl.why_not_connected(e, stop); });
  } catch (const ::mqtt::exception& e) {
    return impl.failed(impl.why_not_connected(e, stop));
  }
}

Result<void> Connection::subscribe(const std::vector<std::string>& topics, int qos, const std::stop_token& stop) {
  Impl& impl = *impl_;
  auto refused = [&](std::string_view topic) { return fmt::format("does not allow the subscription to '{}'", topic); };
  try {
    for (const std::string& topic : topics) {
      auto token = impl.client->subscribe(topic, qos, nullptr, impl.action);
      auto granted = impl.await(token, stop, [&](const ::mqtt::exception&) { return refused(topic); });
      if (!granted) return granted.error();
      if (!granted_problem(*token, {topic}).empty()) return impl.failed(refused(topic));
    }
  } catch (const ::mqtt::exception& e) {
    return impl.failed(fmt::format("cannot be subscribed to: {}", e.what()));
  }
  return {};
}

bool Connection::lost() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->lost;
}

std::size_t Connection::under_way() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->under_way;
}

Result<void> Connection::publish(const std::string& topic, std::string_view payload, int qos, bool retain, std::size_t window,
                                 const std::stop_token& stop) {
  Impl& impl = *impl_;
  if (auto room = impl.under_way_at_most(window - 1, stop); !room) return room;
  impl.notify([&] { ++impl.under_way; });
  try {
    impl.client->publish(topic, payload.data(), payload.size(), qos, retain, nullptr, impl.delivery);
  } catch (const ::mqtt::exception& e) {
    impl.notify([&] { --impl.under_way; });
    return impl.failed(fmt::format("did not take a message: {}", e.what()));
  }
  return {};
}

Result<void> Connection::drain(const std::stop_token& stop) { return impl_->under_way_at_most(0, stop); }

}  // namespace millrace::mqtt
