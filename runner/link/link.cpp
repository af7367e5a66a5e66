#include "runner/link/link.h"

#include <fmt/format.h>
#include <zmq.h>

#include <atomic>
#include <cassert>

namespace millrace::link {
namespace {

/// The process's ZeroMQ context for inproc pairs. It lives as long as the process: links may be made and ended at any time.
void* context() {
  static void* const made = [] {
    void* c = zmq_ctx_new();
    zmq_ctx_set(c, ZMQ_MAX_SOCKETS, 16'384);
    zmq_ctx_set(c, ZMQ_IO_THREADS, 0);  // inproc needs none
    return c;
  }();
  return made;
}

constexpr std::uint32_t window = 8;  // batches on the way at once; enough to keep both threads busy

void* open_pair() {
  void* socket = zmq_socket(context(), ZMQ_PAIR);
  assert(socket && "the limit of sockets is far above what a process's links need");
  int none = 0, unlimited = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
  zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);  // credit is the limit
  zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
  return socket;
}

}  // namespace

struct Link::Pair {
  /// What a message points to. ZeroMQ hands it over safely; the flag says so to the thread sanitizer, which does not see into
  /// the library.
  struct Parcel {
    explicit Parcel(Envelope e) : envelope(std::move(e)) {}
    Envelope envelope;
    std::atomic<bool> packed{false};
  };

  void* sender = open_pair();
  void* receiver = open_pair();
  std::uint32_t credit = window;  // the sender's
  std::uint32_t to_grant = 0;     // the receiver's

  Pair() {
    static std::atomic<std::uint64_t> number{0};
    std::string address = fmt::format("inproc://link-{}", number.fetch_add(1));
    [[maybe_unused]] int bound = zmq_bind(receiver, address.c_str());
    [[maybe_unused]] int connected = zmq_connect(sender, address.c_str());
    assert(bound == 0 && connected == 0);
  }
  ~Pair() {
    zmq_close(sender);
    zmq_close(receiver);
  }

  void put(Envelope envelope) {
    auto* pointer = new Parcel(std::move(envelope));
    pointer->packed.store(true, std::memory_order_release);
    [[maybe_unused]] int sent = zmq_send(sender, &pointer, sizeof pointer, ZMQ_DONTWAIT);
    assert(sent == sizeof pointer && "a pair without a high-water mark always takes a message");
  }

  std::optional<Envelope> get() {
    Parcel* pointer = nullptr;
    int size = zmq_recv(receiver, &pointer, sizeof pointer, ZMQ_DONTWAIT);
    if (size != sizeof pointer) return std::nullopt;
    std::unique_ptr<Parcel> parcel(pointer);
    [[maybe_unused]] bool packed = parcel->packed.load(std::memory_order_acquire);
    assert(packed);
    return std::move(parcel->envelope);
  }

  void take_credit() {
    std::uint32_t granted = 0;
    while (zmq_recv(sender, &granted, sizeof granted, ZMQ_DONTWAIT) == sizeof granted) credit += granted;
  }

  // Half a window at a time: one message back for several forth.
  void grant() {
    if (++to_grant < window / 2) return;
    zmq_send(receiver, &to_grant, sizeof to_grant, ZMQ_DONTWAIT);
    to_grant = 0;
  }
};

Link::Link(Ends ends, Limits limits, Overflow overflow, std::unique_ptr<Spool> spool)
    : queue_(limits, overflow, counters_, std::move(spool)) {
  if (ends == Ends::two_threads) pair_ = std::make_unique<Pair>();
}

Link::~Link() { unkept(); }

std::uint64_t Link::unkept() {
  std::uint64_t records = 0;
  for (Envelope& left : drain()) {
    if (queue_.spool(left)) {
      left.ack.settle();
    } else if (left.batch && left.ack.empty()) {
      records += left.batch->size();
    }
  }
  return records;
}

void Link::sender_is(Waker sender) { queue_.sender_is(std::move(sender)); }

void Link::send(Envelope envelope) {
  queue_.push(std::move(envelope));
  if (pair_) pump();
}

bool Link::pump() {
  if (!pair_ || queue_.empty()) return false;
  if (pair_->credit == 0) pair_->take_credit();
  bool moved = false;
  while (pair_->credit > 0) {
    std::optional<Envelope> next = queue_.pop();
    if (!next) break;
    pair_->put(std::move(*next));
    --pair_->credit;
    moved = true;
  }
  return moved;
}

void* Link::sender_socket() const { return pair_ ? pair_->sender : nullptr; }
void* Link::receiver_socket() const { return pair_ ? pair_->receiver : nullptr; }

std::optional<Envelope> Link::receive() {
  if (!pair_) return queue_.pop();
  std::optional<Envelope> envelope = pair_->get();
  if (envelope) pair_->grant();
  return envelope;
}

std::deque<Envelope> Link::drain() {
  std::deque<Envelope> all;
  auto add = [&](Envelope envelope) {
    if (!envelope.spooled) all.push_back(std::move(envelope));
  };
  if (pair_)
    while (auto envelope = pair_->get()) add(std::move(*envelope));
  for (Envelope& envelope : queue_.clear()) add(std::move(envelope));
  return all;
}

}  // namespace millrace::link
