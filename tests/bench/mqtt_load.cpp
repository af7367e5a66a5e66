// mqtt_load publish: sends `count` messages as fast as the broker takes them, and ends when all are through.
// mqtt_load callback: the yardstick of mqtt_source: a bare Paho message callback that counts `count` messages and does nothing
// else. It prints "ready" once it is subscribed.
// mqtt_load forward: the yardstick of the way to a client: the same callback, which writes each message straight to the one TCP
// connection that it accepts, a line each. It prints its port, and ends with that connection.

#include <arpa/inet.h>
#include <mqtt/async_client.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cstdio>
#include <deque>
#include <future>
#include <string>

namespace {

struct Options {
  std::string broker = "tcp://127.0.0.1:1883";
  std::string topic = "devices/bench";
  std::size_t count = 100'000;
  int qos = 0;
};

std::string message(std::size_t n) {
  return "{\"deviceId\":\"AZ3166-" + std::to_string(n % 100 + 1) + "\",\"messageId\":" + std::to_string(n) +
         ",\"temperature\":21.53,\"humidity\":48.27,\"pressure\":1013.25,\"ts\":1700000000000}";
}

void publish(const Options& options) {
  mqtt::async_client client(options.broker, "", mqtt::create_options(MQTTVERSION_3_1_1, static_cast<int>(options.count)));
  auto connect = mqtt::connect_options_builder().max_inflight(options.qos == 0 ? 1000 : 200).finalize();
  client.connect(connect)->wait();
  // A token for each message of QoS 1; enough of them under way to keep the broker busy, and no more.
  constexpr std::size_t under_way = 400;
  std::deque<mqtt::delivery_token_ptr> tokens;
  for (std::size_t n = 0; n < options.count; ++n) {
    const std::string payload = message(n);
    tokens.push_back(client.publish(options.topic, payload.data(), payload.size(), options.qos, false));
    if (tokens.size() >= under_way) {
      tokens.front()->wait();
      tokens.pop_front();
    }
  }
  for (const auto& token : tokens) token->wait();
  client.disconnect()->wait();
}

void count_messages(const Options& options) {
  mqtt::async_client client(options.broker, "bench-callback");
  std::size_t received = 0;
  std::promise<void> all;
  client.set_message_callback([&](const mqtt::const_message_ptr&) {
    if (++received == options.count) all.set_value();
  });
  client.connect()->wait();
  client.subscribe(options.topic, options.qos)->wait();
  std::puts("ready");
  std::fflush(stdout);
  all.get_future().wait();
  client.disconnect()->wait();
}

/// Accepts one connection on a free port, which it prints.
int accept_one() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener, 1);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  const int connection = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  const int on = 1;
  ::setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return connection;
}

void forward_messages(const Options& options) {
  mqtt::async_client client(options.broker, "bench-forward");
  const int connection = accept_one();
  client.set_message_callback([&](const mqtt::const_message_ptr& message) {
    const std::string line = message->get_payload_str() + "\n";
    ::send(connection, line.data(), line.size(), MSG_NOSIGNAL);
  });
  client.connect()->wait();
  client.subscribe(options.topic, options.qos)->wait();
  ::send(connection, "\n", 1, MSG_NOSIGNAL);
  char end = 0;
  while (::recv(connection, &end, 1, 0) > 0) {
  }
  client.disconnect()->wait();
  ::close(connection);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Load for an MQTT broker"};
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--broker", options.broker);
  app.add_option("--topic", options.topic);
  app.add_option("--count", options.count);
  app.add_option("--qos", options.qos);
  app.add_subcommand("publish", "Sends messages")->callback([&] { publish(options); });
  app.add_subcommand("callback", "Receives them in a bare callback")->callback([&] { count_messages(options); });
  app.add_subcommand("forward", "Writes them to a connection in a bare callback")->callback([&] { forward_messages(options); });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const mqtt::exception& error) {
    std::fprintf(stderr, "%s: %s\n", options.broker.c_str(), error.what());
    return 1;
  }
}
