// latency: how long a message takes from its MQTT publish to its arrival at a WebSocket client, both ends in this process, so
// that one clock times them. Publishes `count` messages at `rate` a second and prints {"median","p99","max" in ms,"received"}
// as JSON.
//
// The message carries its number in the field `n`; the pipeline between has to keep it.

#include <mqtt/async_client.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
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
  bool bare = false;
};

/// When each message arrived.
class Arrivals {
 public:
  explicit Arrivals(std::size_t count) : at_(count), left_(count) {}

  /// Looks for messages in a text that has just come, which may hold several.
  void look(std::string_view text) {
    static constexpr std::string_view field = "\"n\":";
    const auto now = Clock::now();
    for (auto at = text.find(field); at != std::string_view::npos; at = text.find(field, at + 1)) {
      const auto n = std::strtoull(text.data() + at + field.size(), nullptr, 10);
      if (n >= at_.size() || at_[n] != Clock::time_point{}) continue;
      at_[n] = now;
      --left_;
    }
  }
  bool all() const { return left_ == 0; }
  Clock::time_point operator[](std::size_t n) const { return at_[n]; }

 private:
  std::vector<Clock::time_point> at_;
  std::size_t left_;
};

class Client {
 public:
  virtual ~Client() = default;

  /// What has come next, whole messages. Ends in a byte that is no digit.
  virtual std::string_view read() = 0;
};

/// A WebSocket, each of whose frames holds one record or several.
class WebSocketClient final : public Client {
 public:
  WebSocketClient(asio::io_context& io, const Options& options) : socket_(io) {
    asio::ip::tcp::resolver resolver(io);
    asio::connect(socket_.next_layer(), resolver.resolve(options.host, options.port));
    socket_.next_layer().set_option(asio::ip::tcp::no_delay(true));
    socket_.handshake(options.host + ":" + options.port, options.path);
  }
  std::string_view read() override {
    buffer_.clear();
    socket_.read(buffer_);
    return {static_cast<const char*>(buffer_.data().data()), buffer_.size()};
  }

 private:
  beast::websocket::stream<asio::ip::tcp::socket> socket_;
  beast::flat_buffer buffer_;
};

/// A TCP connection with a message a line; the first line, an empty one, says that the other side is ready.
class BareClient final : public Client {
 public:
  BareClient(asio::io_context& io, const Options& options) : socket_(io) {
    asio::ip::tcp::resolver resolver(io);
    asio::connect(socket_, resolver.resolve(options.host, options.port));
    BareClient::read();
  }
  std::string_view read() override {
    text_.erase(0, read_);
    read_ = asio::read_until(socket_, asio::dynamic_buffer(text_), '\n');
    return std::string_view(text_).substr(0, read_);
  }

 private:
  asio::ip::tcp::socket socket_;
  std::string text_;
  std::size_t read_ = 0;
};

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
  app.add_flag("--bare", options.bare, "The port is that of `mqtt_load forward`");
  CLI11_PARSE(app, argc, argv);

  asio::io_context io;
  std::unique_ptr<Client> receiving;
  if (options.bare)
    receiving = std::make_unique<BareClient>(io, options);
  else
    receiving = std::make_unique<WebSocketClient>(io, options);

  mqtt::async_client client(options.broker, "");
  client.connect()->wait();

  std::vector<Clock::time_point> sent(options.count);
  Arrivals arrived(options.count);
  std::thread receiver([&] {
    while (!arrived.all()) arrived.look(receiving->read());
  });

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
