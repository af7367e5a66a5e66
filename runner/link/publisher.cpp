#include <fmt/format.h>

#include <random>

#include "runner/config/plugin.h"
#include "runner/link/end_options.h"
#include "runner/link/offering.h"
#include "runner/link/remote.h"
#include "runner/link/socket.h"
#include "runner/link/wire.h"

namespace millrace::link {
namespace {

class Publisher final : public Sink {
 public:
  using Config = EndOptions;

  /// With room for what a frame has besides. The reader's end would break the connection over a larger one, again and again.
  static constexpr std::size_t largest_payload = Socket::largest_frame - (1U << 20U);

  Publisher(Config config, Context context)
      : config_(std::move(config)),
        context_(std::move(context)),
        malformed_(context_.counter("link_malformed_frames")),
        refused_(context_.counter("link_refused_peers")),
        offering_(std::random_device{}() + 1ULL,
                  {[this](std::string_view peer, const wire::Message& message) { return send(peer, message); },
                   [waker = context_.waker()] { waker.wake(); }}) {}

  Result<void> connect() override {
    if (socket_) return {};
    auto opened =
        Socket::open(Socket::End::router, config_.address, "", {config_.secret.text, config_.peer},
                     {[this](std::string_view peer, std::string_view frame) { receive(peer, frame); },
                      [this] { offering_.turn(Socket::Clock::now()); }, [this](std::string_view why) { turned_away(why); }});
    if (!opened) return opened.error();
    socket_ = std::move(*opened);
    ready_.store(socket_.get());
    return {};
  }

  bool wants_input() const override { return offering_.wants_input(); }

  Result<void> write(const Batch& batch) override {
    std::string payload = wire::encode_batch(batch);
    if (payload.size() > largest_payload)
      return rejected(fmt::format("{}: {} records take {} bytes, more than the {} MiB that a link carries at once",
                                  config_.address, batch.size(), payload.size(), largest_payload >> 20U));
    offering_.add(std::move(payload), context_.take_ack());
    socket_->wake();
    return {};
  }

  bool idle() const override { return offering_.idle(); }

 private:
  // All that follows runs on the socket's thread.

  void receive(std::string_view peer, std::string_view frame) {
    Result<wire::Message> message = wire::decode(frame);
    if (!message) return malformed_.add();
    offering_.receive(peer, *message, Socket::Clock::now());
  }

  void turned_away(std::string_view why) {
    refused_.add();
    auto now = Socket::Clock::now();
    if (now < quiet_until_) return;
    quiet_until_ = now + std::chrono::minutes(1);
    context_.log(LogLevel::warning, fmt::format("{}: {}", config_.address, why));
  }

  bool send(std::string_view peer, const wire::Message& message) {
    Socket* socket = ready_.load();
    return socket && socket->send(peer, wire::encode(message));
  }

  Config config_;
  Context context_;
  Counter& malformed_;
  Counter& refused_;
  Offering offering_;
  std::atomic<Socket*> ready_{nullptr};  ///< the socket, once its own thread may use it
  Socket::Clock::time_point quiet_until_{};
  std::unique_ptr<Socket> socket_;  ///< last, so that its thread ends first
};

}  // namespace

Plugin publisher_plugin() {
  Plugin plugin =
      config::define_plugin<Publisher>("publisher", "Offers a stage's output to another process; `publish` makes one.");
  plugin.threading = Threading::own;
  return plugin;
}

}  // namespace millrace::link
