#include <fmt/format.h>

#include <deque>
#include <mutex>
#include <random>
#include <set>

#include "runner/config/plugin.h"
#include "runner/link/end_options.h"
#include "runner/link/remote.h"
#include "runner/link/socket.h"
#include "runner/link/wire.h"

namespace millrace::link {
namespace {

/// Batches that may be on the way or waiting for the stage.
constexpr std::uint64_t window = 64;
/// After so long without a word the publisher may be another one.
constexpr std::chrono::seconds silence{2};
/// How often a reader with nothing to say says that it is there.
constexpr std::chrono::seconds presence{2};

/// What the stage's thread and the socket's thread share. Acks hold it, as they may settle after the stage has gone.
class Inbound {
 public:
  explicit Inbound(Waker waker) : waker_(std::move(waker)) {}

  struct Arrived {
    std::uint64_t epoch, number;
    Batch batch;
  };
  struct Ended {
    std::uint64_t epoch, number;
    Settlement how;
  };

  void arrived(Arrived batch) {
    {
      std::lock_guard lock(mutex_);
      arrived_.push_back(std::move(batch));
    }
    waker_.wake();
  }
  std::optional<Arrived> take() {
    std::lock_guard lock(mutex_);
    if (arrived_.empty()) return std::nullopt;
    Arrived first = std::move(arrived_.front());
    arrived_.pop_front();
    return first;
  }
  void ended(Ended end) {
    std::lock_guard lock(mutex_);
    ended_.push_back(end);
    if (socket_) socket_->wake();
  }
  std::vector<Ended> take_ended() {
    std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
  }
  /// Batches that the stage has not taken yet; those of a former epoch count too, they take room as well.
  std::size_t waiting() const {
    std::lock_guard lock(mutex_);
    return arrived_.size();
  }
  void attach(Socket* socket) {
    std::lock_guard lock(mutex_);
    socket_ = socket;
  }
  void fail(std::string why) {
    {
      std::lock_guard lock(mutex_);
      failure_ = std::move(why);
    }
    waker_.wake();
  }
  std::string take_failure() {
    std::lock_guard lock(mutex_);
    return std::exchange(failure_, {});
  }

 private:
  Waker waker_;
  mutable std::mutex mutex_;
  std::deque<Arrived> arrived_;
  std::vector<Ended> ended_;
  Socket* socket_ = nullptr;
  std::string failure_;
};

class Subscriber final : public Source {
 public:
  using Config = EndOptions;

  Subscriber(Config config, Context context)
      : config_(std::move(config)),
        context_(std::move(context)),
        malformed_(context_.counter("link_malformed_frames")),
        name_(context_.pipeline() + "/" + context_.stage()),
        session_(std::random_device{}() + 1ULL),
        inbound_(std::make_shared<Inbound>(context_.waker())) {}

  ~Subscriber() override { inbound_->attach(nullptr); }

  /// What settles from here on is still said to the publisher, up to the end of the stage.
  void stop() override { stopped_.store(true); }

  Result<void> connect() override {
    if (socket_) return {};
    auto opened = Socket::open(Socket::End::dealer, config_.address, name_, {config_.secret.text, config_.peer},
                               {[this](std::string_view, std::string_view frame) { receive(frame); }, [this] { turn(); },
                                [this](std::string_view why) { inbound_->fail(std::string(why)); }});
    if (!opened) return opened.error();
    inbound_->attach(opened->get());
    socket_ = std::move(*opened);
    ready_.store(socket_.get());
    return {};
  }

  Result<Batch> poll() override {
    if (std::string failure = inbound_->take_failure(); !failure.empty()) return overloaded(config_.address + ": " + failure);
    std::optional<Inbound::Arrived> next = inbound_->take();
    if (!next) return Batch{};
    socket_->wake();  // there is room again
    Batch batch = std::move(next->batch);
    batch.ack = Ack([inbound = inbound_, epoch = next->epoch, number = next->number](Settlement how) {
      inbound->ended({epoch, number, how});
    });
    return batch;
  }

 private:
  // All that follows runs on the socket's thread.

  void receive(std::string_view frame) {
    Result<wire::Message> message = wire::decode(frame);
    if (!message) return malformed_.add();
    if (stopped_.load()) return;  // whoever reads next gets it
    heard_ = Socket::Clock::now();
    if (auto* welcome = std::get_if<wire::Welcome>(&*message)) begin(*welcome);
    if (auto* refusal = std::get_if<wire::Refusal>(&*message)) inbound_->fail(refusal->why);
    if (auto* numbered = std::get_if<wire::Numbered>(&*message)) take(*numbered);
    if (auto* pulse = std::get_if<wire::Pulse>(&*message)) {
      if (pulse->epoch != epoch_) hello();
      if (pulse->epoch == epoch_ && pulse->sent >= expected_) ask_again(expected_);
    }
  }

  void begin(const wire::Welcome& welcome) {
    if (welcome.session != session_) return;
    if (welcome.epoch != epoch_) {
      epoch_ = welcome.epoch;
      expected_ = welcome.first;
      in_hand_.clear();
      refused_.clear();
      settled_.clear();
      asked_ = 0;
    }
    granted_ = 0;  // say it again: what was said may be lost
  }

  void take(const wire::Numbered& numbered) {
    if (numbered.epoch != epoch_) return;
    if (numbered.number > expected_) return ask_again(expected_);
    if (numbered.number < expected_ && !refused_.contains(numbered.number)) {
      // Had already. If it is no longer in hand, the word that it is settled was lost.
      if (!in_hand_.contains(numbered.number)) settled_.push_back(numbered.number);
      return;
    }
    refused_.erase(numbered.number);
    expected_ = std::max(expected_, numbered.number + 1);
    Result<Batch> batch = wire::decode_batch(numbered.payload);
    if (!batch) {
      context_.log(LogLevel::error, batch.error().what);
      malformed_.add();
      settled_.push_back(numbered.number);
      return;
    }
    in_hand_.insert(numbered.number);
    inbound_->arrived({epoch_, numbered.number, std::move(*batch)});
  }

  void turn() {
    if (!ready_.load()) return;
    for (const Inbound::Ended& ended : inbound_->take_ended()) {
      if (ended.epoch != epoch_) continue;
      in_hand_.erase(ended.number);
      if (ended.how == Settlement::settled)
        settled_.push_back(ended.number);
      else
        refused_.insert(ended.number);
    }
    if (stopped_.load()) {
      if (!settled_.empty() && send(wire::Settled{epoch_, settled_})) settled_.clear();
      return;
    }
    if (!refused_.empty()) ask_again(*refused_.begin());
    auto now = Socket::Clock::now();
    if (epoch_ == 0 || now - heard_ > silence) {
      if (now - greeted_ >= Socket::pace) hello();
      if (epoch_ == 0) return;
    }
    if (!settled_.empty() && send(wire::Settled{epoch_, settled_})) settled_.clear();
    std::uint64_t room = expected_ - 1 + window - std::min<std::uint64_t>(window, inbound_->waiting());
    bool more = room > granted_ && (room - granted_ >= window / 4 || granted_ == 0);
    if (!more && now - credited_ < presence) return;
    room = std::max(room, granted_);
    if (!send(wire::Credit{epoch_, room})) return;
    granted_ = room;
    credited_ = now;
  }

  void hello() {
    greeted_ = Socket::Clock::now();
    send(wire::Hello{name_, session_});
  }

  void ask_again(std::uint64_t from) {
    auto now = Socket::Clock::now();
    if (from == asked_ && now - asked_at_ < Socket::pace) return;
    asked_ = from;
    asked_at_ = now;
    send(wire::Again{epoch_, from});
  }

  bool send(const wire::Message& message) {
    Socket* socket = ready_.load();
    return socket && socket->send("", wire::encode(message));
  }

  Config config_;
  Context context_;
  Counter& malformed_;
  std::string name_;
  std::uint64_t session_;
  std::shared_ptr<Inbound> inbound_;
  std::atomic<Socket*> ready_{nullptr};  ///< the socket, once its own thread may use it
  std::atomic<bool> stopped_{false};

  std::uint64_t epoch_ = 0, expected_ = 1, granted_ = 0, asked_ = 0;
  std::set<std::uint64_t> in_hand_, refused_;
  std::vector<std::uint64_t> settled_;
  Socket::Clock::time_point heard_{}, greeted_{}, asked_at_{}, credited_{};
  std::unique_ptr<Socket> socket_;  ///< last, so that its thread ends first
};

}  // namespace

Plugin subscriber_plugin() {
  return config::define_plugin<Subscriber>("subscriber",
                                           "Reads what another process publishes; an address in `from` makes one.");
}

}  // namespace millrace::link
