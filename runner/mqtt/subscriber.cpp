#include "runner/mqtt/subscriber.h"

#include <utility>

namespace millrace::mqtt {

Subscriber::Subscriber(Broker broker, Subscription subscription, Handlers handlers)
    : broker_(std::move(broker)),
      subscription_(std::move(subscription)),
      handlers_(std::move(handlers)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

void Subscriber::connect() {
  std::lock_guard lock(mutex_);
  wanted_ = true;
  changed_.notify_all();
}

void Subscriber::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
  changed_.notify_all();
}

void Subscriber::release() {
  std::lock_guard lock(mutex_);
  if (!std::exchange(held_, false)) return;
  wanted_ = true;
  changed_.notify_all();
}

std::optional<Error> Subscriber::take_error() {
  std::lock_guard lock(mutex_);
  return std::exchange(error_, std::nullopt);
}

void Subscriber::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool give_up = false;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, stop, [&] { return lost_ || (held_ && connection_) || (wanted_ && !held_); });
      give_up = connection_ && (lost_ || held_);
      if (!give_up && !held_) wanted_ = false;
      if (!connection_) lost_ = false;
    }
    if (stop.stop_requested()) break;
    if (give_up)
      hang_up();
    else if (!connection_)
      attempt(stop);
    handlers_.changed();
  }
  connected_.store(false);
  connection_.reset();
}

void Subscriber::hang_up() {
  connected_.store(false);
  connection_.reset();
  std::lock_guard lock(mutex_);
  if (lost_ && !held_) error_ = takeover_.lost(handlers_.now(), broker_);
  lost_ = false;
}

void Subscriber::attempt(const std::stop_token& stop) {
  auto lost = [this] {
    std::lock_guard lock(mutex_);
    lost_ = true;
    changed_.notify_all();
  };
  auto message = [this](const Message& m) {
    if (!handlers_.message(m)) hold();
  };
  connection_ = std::make_unique<Connection>(broker_, subscription_.clean_session, Connection::Handlers{message, lost, {}});
  auto done = connection_->open(stop);
  if (done) done = connection_->subscribe(subscription_.topics, subscription_.qos, stop);
  if (done) {
    takeover_.connected(handlers_.now());
    connected_.store(true);
    return;
  }
  connection_.reset();
  std::lock_guard lock(mutex_);
  lost_ = false;
  if (!stop.stop_requested()) error_ = done.error();
}

}  // namespace millrace::mqtt
