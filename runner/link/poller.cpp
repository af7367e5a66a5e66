#include "runner/link/poller.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <vector>

namespace millrace::link {

struct Poller::Items {
  struct Receiver {
    void* socket;
    std::function<bool()> wanted;
  };
  struct Sender {
    const Link* link;
    void* socket;
  };
  std::vector<Receiver> receivers;
  std::vector<Sender> senders;
  std::vector<zmq_pollitem_t> polled;
};

Poller::Poller() : items_(std::make_unique<Items>()), wakes_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(wakes_ >= 0 && "a process that has no descriptors left cannot start a thread either");
}

Poller::~Poller() { close(wakes_); }

void Poller::wake() noexcept {
  if (pending_.exchange(true)) return;
  if (!asleep_.load()) return;
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wakes_, &one, sizeof one);
}

void Poller::clear() {
  items_->receivers.clear();
  items_->senders.clear();
}

void Poller::watch_receiver(const Link& link, std::function<bool()> wanted) {
  if (void* socket = link.receiver_socket()) items_->receivers.push_back({socket, std::move(wanted)});
}

void Poller::watch_sender(const Link& link) {
  if (void* socket = link.sender_socket()) items_->senders.push_back({&link, socket});
}

void Poller::wait(std::optional<Duration> longest) {
  asleep_.store(true);
  if (!pending_.exchange(false)) {
    auto& polled = items_->polled;
    polled.clear();
    for (const Items::Receiver& receiver : items_->receivers)
      if (!receiver.wanted || receiver.wanted()) polled.push_back({receiver.socket, 0, ZMQ_POLLIN, 0});
    for (const Items::Sender& sender : items_->senders)
      if (!sender.link->empty()) polled.push_back({sender.socket, 0, ZMQ_POLLIN, 0});
    polled.push_back({nullptr, wakes_, ZMQ_POLLIN, 0});
    // Rounded up: a thread that wakes early would only wait again. A moment that has passed is now, not for ever.
    if (longest) longest = std::max(*longest, Duration(0));
    long timeout = longest ? static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(*longest).count()) : -1;
    zmq_poll(polled.data(), static_cast<int>(polled.size()), timeout);
    if (polled.back().revents != 0) {
      std::uint64_t count = 0;
      [[maybe_unused]] ssize_t taken = read(wakes_, &count, sizeof count);
    }
  }
  asleep_.store(false);
  pending_.store(false);
}

}  // namespace millrace::link
