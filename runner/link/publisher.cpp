#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <random>

#include "runner/config/plugin.h"
#include "runner/link/keys.h"
#include "runner/link/remote.h"
#include "runner/link/socket.h"
#include "runner/link/wire.h"

namespace millrace::link {
namespace {

constexpr std::size_t window_batches = 256;
constexpr std::size_t window_bytes = 16U << 20U;
/// A reader that has been silent for so long has lost its place to another.
constexpr std::chrono::seconds place_kept{10};

class Publisher final : public Sink {
 public:
  struct Config {
    std::string address;
    config::Secret secret;
    std::string peer;
    static void describe(config::Fields<Config>& f) {
      f.field("address", &Config::address).doc("Where the output is offered: ipc://PATH or tcp://HOST:PORT.").required();
      f.field("secret", &Config::secret).doc("The secret CURVE key of this end.");
      f.field("peer", &Config::peer).doc("The public CURVE key of the other end.");
      f.check([](const Config& c, config::CheckReport<Config>& report) {
        if (auto problem = address_problem(c.address, !c.secret.empty())) report.wrong("address", *problem);
        check_keys(c, report);
      });
    }
  };

  Publisher(Config config, Context context)
      : config_(std::move(config)), context_(std::move(context)), epoch_(std::random_device{}() + 1ULL) {}

  Result<void> connect() override {
    if (socket_) return {};
    auto opened = Socket::open(Socket::End::router, config_.address, "", {config_.secret.text, config_.peer},
                               {[this](std::string_view peer, std::string_view frame) { receive(peer, frame); },
                                [this] { turn(); }, [this](std::string_view why) { turned_away(why); }});
    if (!opened) return opened.error();
    socket_ = std::move(*opened);
    ready_.store(socket_.get());
    return {};
  }

  /// Only for a reader that is there: what nobody reads stays in the link, where `on_full` holds, and for a successor.
  bool wants_input() const override {
    std::lock_guard lock(mutex_);
    return present_ && window_.size() < window_batches && bytes_ < window_bytes;
  }

  Result<void> write(const Batch& batch) override {
    std::string payload = wire::encode_batch(batch);
    {
      std::lock_guard lock(mutex_);
      bytes_ += payload.size();
      window_.push_back({next_++, std::move(payload), context_.take_ack(), false});
    }
    socket_->wake();
    return {};
  }

  /// What a reader that has gone has not settled is offered again by where it came from.
  bool idle() const override {
    std::lock_guard lock(mutex_);
    return window_.empty() || !present_;
  }

 private:
  struct Sent {
    std::uint64_t number;
    std::string payload;
    Ack ack;
    bool settled;
  };

  // All that follows runs on the socket's thread.

  void receive(std::string_view peer, std::string_view frame) {
    Result<wire::Message> message = wire::decode(frame);
    if (!message) return context_.counter("link_malformed").add();
    if (auto* hello = std::get_if<wire::Hello>(&*message)) return welcome(peer, *hello);
    if (peer != peer_) return;
    heard();
    if (auto* credit = std::get_if<wire::Credit>(&*message)) {
      if (credit->epoch == epoch_) credit_ = std::max(credit_, credit->up_to);
    } else if (auto* settled = std::get_if<wire::Settled>(&*message)) {
      if (settled->epoch == epoch_) settle(settled->numbers);
    } else if (auto* again = std::get_if<wire::Again>(&*message)) {
      if (again->epoch == epoch_ && again->from > 0) sent_ = std::min(sent_, again->from - 1);
    }
  }

  void welcome(std::string_view peer, const wire::Hello& hello) {
    bool taken = !peer_.empty() && reader_ != hello.reader && Socket::Clock::now() - heard_ < place_kept;
    if (taken) {
      send(peer, wire::Refusal{fmt::format("'{}' reads here already; each reader needs an address of its own", reader_)});
      return;
    }
    std::uint64_t first = first_number();
    if (reader_ != hello.reader || session_ != hello.session) {
      sent_ = first - 1;
      credit_ = 0;
    }
    peer_ = peer;
    reader_ = hello.reader;
    session_ = hello.session;
    heard();
    send(peer, wire::Welcome{epoch_, session_, first});
  }

  std::uint64_t first_number() const {
    std::lock_guard lock(mutex_);
    return window_.empty() ? next_ : window_.front().number;
  }

  void heard() {
    heard_ = Socket::Clock::now();
    set_present(true);
  }

  void turned_away(std::string_view why) {
    context_.counter("link_refused").add();
    auto now = Socket::Clock::now();
    if (now < quiet_until_) return;
    quiet_until_ = now + std::chrono::minutes(1);
    context_.log(LogLevel::warning, fmt::format("{}: {}", config_.address, why));
  }

  void set_present(bool present) {
    {
      std::lock_guard lock(mutex_);
      if (std::exchange(present_, present) == present) return;
    }
    context_.waker().wake();
  }

  void settle(const std::vector<std::uint64_t>& numbers) {
    std::vector<Ack> done;
    {
      std::lock_guard lock(mutex_);
      for (std::uint64_t number : numbers) {
        if (window_.empty() || number < window_.front().number || number >= next_) continue;
        Sent& sent = window_[number - window_.front().number];
        if (sent.settled) continue;
        sent.settled = true;
        done.push_back(std::move(sent.ack));
      }
      while (!window_.empty() && window_.front().settled) {
        bytes_ -= window_.front().payload.size();
        window_.pop_front();
      }
    }
    for (Ack& ack : done) ack.settle();
    context_.waker().wake();
  }

  void turn() {
    if (peer_.empty()) return;
    send_window();
    auto now = Socket::Clock::now();
    if (now - pulsed_ < Socket::pace) return;
    pulsed_ = now;
    bool sent = send(peer_, wire::Pulse{epoch_, sent_});
    if (!sent || now - heard_ >= place_kept) set_present(false);
  }

  void send_window() {
    std::lock_guard lock(mutex_);
    while (!window_.empty()) {
      std::uint64_t number = std::max(sent_ + 1, window_.front().number);
      if (number >= next_ || number > credit_) break;
      const Sent& next = window_[number - window_.front().number];
      if (!next.settled && !send(peer_, wire::Numbered{epoch_, number, next.payload})) break;
      sent_ = number;
    }
  }

  bool send(std::string_view peer, const wire::Message& message) {
    Socket* socket = ready_.load();
    return socket && socket->send(peer, wire::encode(message));
  }

  Config config_;
  Context context_;
  std::uint64_t epoch_;
  std::atomic<Socket*> ready_{nullptr};  ///< the socket, once its own thread may use it

  mutable std::mutex mutex_;  ///< of what follows up to the next empty line
  bool present_ = false;      ///< a reader is there
  std::deque<Sent> window_;   ///< consecutive numbers; the front is unsettled
  std::size_t bytes_ = 0;
  std::uint64_t next_ = 1;

  std::string peer_, reader_;
  std::uint64_t session_ = 0, credit_ = 0, sent_ = 0;
  Socket::Clock::time_point heard_{}, pulsed_{}, quiet_until_{};
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
