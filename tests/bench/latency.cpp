// latency: how long a message takes from its MQTT publish to its arrival at a WebSocket client, both ends in this process, so
// that one clock times them. Publishes `count` messages at `rate` a second and prints {"median","p99","max" in ms,"received"}
// as JSON.
//
// The message carries its number in the field `n`; the pipeline between has to keep it. First it publishes until something
// arrives, so that whatever is between may take its time to subscribe. What has not arrived 10 s after the last is left out of
// the figures; if that is more than one in a hundred, it fails.

#include <mqtt/async_client.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
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
  bool has(std::size_t n) const { return at_[n] != Clock::time_point{}; }
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

/// Reads on a thread of its own until everything is there, or the process ends.
class Receiver {
 public:
  Receiver(Client& from, std::size_t count) : arrived_(count), thread_([this, &from] { receive(from); }) { thread_.detach(); }

  bool anything() const { return anything_; }

  /// When each message arrived, as far as they have by then.
  Arrivals wait(Clock::duration longest) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, longest, [&] { return arrived_.all(); });
    return arrived_;
  }

 private:
  void receive(Client& from) {
    for (bool all = false; !all;) {
      std::string_view text = from.read();
      std::lock_guard lock(mutex_);
      arrived_.look(text);
      anything_ = true;
      all = arrived_.all();
      if (all) changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Arrivals arrived_;
  std::atomic<bool> anything_{false};
  std::thread thread_;
};

class Publisher {
 public:
  explicit Publisher(const Options& options) : options_(options), client_(options.broker, "") { client_.connect()->wait(); }
  ~Publisher() { client_.disconnect()->wait(); }
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  void publish(std::size_t n) {
    const std::string payload =
        "{\"deviceId\":\"AZ3166-1\",\"n\":" + std::to_string(n) + ",\"temperature\":21.5,\"humidity\":48.25}";
    client_.publish(options_.topic, payload.data(), payload.size(), options_.qos, false);
  }

 private:
  const Options& options_;
  mqtt::async_client client_;
};

/// False if nothing arrives within a minute.
bool open_the_way(Publisher& publisher, const Receiver& receiver) {
  constexpr std::size_t beyond_all = UINT32_MAX;
  for (int i = 0; i < 1200 && !receiver.anything(); ++i) {
    publisher.publish(beyond_all);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return receiver.anything();
}

std::vector<Clock::time_point> publish_all(Publisher& publisher, const Options& options) {
  std::vector<Clock::time_point> sent(options.count);
  const auto start = Clock::now();
  const auto period =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1.0 / static_cast<double>(options.rate)));
  for (std::size_t n = 0; n < options.count; ++n) {
    std::this_thread::sleep_until(start + period * static_cast<Clock::rep>(n));
    sent[n] = Clock::now();
    publisher.publish(n);
  }
  return sent;
}

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

/// The exit status.
int report(const std::vector<Clock::time_point>& sent, const Arrivals& arrived) {
  std::vector<double> took;
  for (std::size_t n = 0; n < sent.size(); ++n)
    if (arrived.has(n)) took.push_back(milliseconds(arrived[n] - sent[n]));
  if (took.size() < sent.size() - sent.size() / 100) {
    std::fprintf(stderr, "latency: %zu of %zu messages have arrived\n", took.size(), sent.size());
    return 1;
  }
  std::sort(took.begin(), took.end());
  std::printf("{\"median\":%.3f,\"p99\":%.3f,\"max\":%.3f,\"received\":%zu}\n", took[took.size() / 2],
              took[took.size() * 99 / 100], took.back(), took.size());
  return 0;
}

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
  auto receiver = std::make_unique<Receiver>(*receiving, options.count);
  int status = 1;
  {
    Publisher publisher(options);
    if (open_the_way(publisher, *receiver)) {
      const std::vector<Clock::time_point> sent = publish_all(publisher, options);
      status = report(sent, receiver->wait(std::chrono::seconds(10)));
    } else {
      std::fprintf(stderr, "latency: nothing arrives\n");
    }
  }
  std::fflush(stdout);
  std::_Exit(status);  // the receiver may still wait for what does not come
}
