// latency: how long a message takes from its MQTT publish to its arrival at a WebSocket client, both ends in this process, so
// that one clock times them. Publishes `count` messages at `rate` a second and prints {"median","p99","max" in ms,"received"}
// as JSON.
//
// The message carries its number in the field `n`; the pipeline between has to keep it.

#include <mqtt/async_client.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
namespace beast = boost::beast;
namespace asio = boost::asio;

struct Options {
  std::string broker = "tcp://127.0.0.1:1883";
  std::string topic = "devices/latency";
  std::string host = "127.0.0.1";
  std::string port = "8080";
  std::string path = "/hubs/telemetry/ws";
  std::size_t rate = 100;
  std::size_t count = 1000;
  int qos = 0;
};

/// Takes frames until every message came; notes for each when. A frame may hold several records.
void receive(beast::websocket::stream<asio::ip::tcp::socket>& socket, std::vector<Clock::time_point>& arrived) {
  static constexpr std::string_view field = "\"n\":";
  beast::flat_buffer buffer;
  std::size_t left = arrived.size();
  while (left > 0) {
    buffer.clear();
    socket.read(buffer);
    const auto now = Clock::now();
    const std::string_view text(static_cast<const char*>(buffer.data().data()), buffer.size());
    for (auto at = text.find(field); at != std::string_view::npos; at = text.find(field, at + 1)) {
      const auto n = std::strtoull(text.data() + at + field.size(), nullptr, 10);
      if (n < arrived.size() && arrived[n] == Clock::time_point{}) {
        arrived[n] = now;
        --left;
      }
    }
  }
}

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"From MQTT publish to WebSocket receipt"};
  app.add_option("--broker", options.broker);
  app.add_option("--topic", options.topic);
  app.add_option("--port", options.port);
  app.add_option("--path", options.path);
  app.add_option("--rate", options.rate);
  app.add_option("--count", options.count);
  app.add_option("--qos", options.qos);
  CLI11_PARSE(app, argc, argv);

  asio::io_context io;
  beast::websocket::stream<asio::ip::tcp::socket> socket(io);
  asio::ip::tcp::resolver resolver(io);
  asio::connect(socket.next_layer(), resolver.resolve(options.host, options.port));
  socket.next_layer().set_option(asio::ip::tcp::no_delay(true));
  socket.handshake(options.host + ":" + options.port, options.path);

  mqtt::async_client client(options.broker, "");
  client.connect()->wait();

  std::vector<Clock::time_point> sent(options.count);
  std::vector<Clock::time_point> arrived(options.count);
  std::thread receiver([&] { receive(socket, arrived); });

  const auto start = Clock::now();
  const auto period =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1.0 / static_cast<double>(options.rate)));
  for (std::size_t n = 0; n < options.count; ++n) {
    std::this_thread::sleep_until(start + period * static_cast<Clock::rep>(n));
    const std::string payload =
        "{\"deviceId\":\"AZ3166-1\",\"n\":" + std::to_string(n) + ",\"temperature\":21.5,\"humidity\":48.25}";
    sent[n] = Clock::now();
    client.publish(options.topic, payload.data(), payload.size(), options.qos, false);
  }
  receiver.join();
  client.disconnect()->wait();

  std::vector<double> took;
  took.reserve(options.count);
  for (std::size_t n = 0; n < options.count; ++n) took.push_back(milliseconds(arrived[n] - sent[n]));
  std::sort(took.begin(), took.end());
  std::printf("{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"received\":%zu}\n", took[took.size() / 2],
              took[took.size() * 99 / 100], took.back(), took.size());
}
