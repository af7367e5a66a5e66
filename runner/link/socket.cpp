#include "runner/link/socket.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <cassert>
#include <cerrno>
#include <cstdint>

namespace millrace::link {
namespace {

/// Not the context of the inproc links: this one has a thread for input and output.
void* outer_context() {
  static void* const made = zmq_ctx_new();
  return made;
}

constexpr std::int64_t largest_frame = 64LL << 20;

/// A received part, released at the end of its scope.
struct Part {
  zmq_msg_t message;
  Part() { zmq_msg_init(&message); }
  ~Part() { zmq_msg_close(&message); }
  std::string_view view() { return {static_cast<char*>(zmq_msg_data(&message)), zmq_msg_size(&message)}; }
};

void set(void* socket, int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); }

}  // namespace

std::optional<std::string> address_problem(const std::string& address) {
  if (address.starts_with("ipc://") && address.size() > 6) return std::nullopt;
  if (!address.starts_with("tcp://")) return fmt::format("'{}' is no address: expected ipc://PATH or tcp://HOST:PORT", address);
  std::string host = address.substr(6, address.rfind(':') - 6);
  if (host == "localhost" || host == "[::1]" || host.starts_with("127.")) return std::nullopt;
  return fmt::format(
      "'{}' is beyond this machine: such a link needs CURVE keys, which are not available yet; use ipc:// or 127.0.0.1",
      address);
}

Result<std::unique_ptr<Socket>> Socket::open(End end, const std::string& address, const std::string& identity,
                                             Handlers handlers) {
  void* socket = zmq_socket(outer_context(), end == End::router ? ZMQ_ROUTER : ZMQ_DEALER);
  if (!socket) return unavailable(fmt::format("{}: {}", address, zmq_strerror(errno)));
  set(socket, ZMQ_LINGER, 0);
  set(socket, ZMQ_SNDHWM, 0);  // credit is the limit
  set(socket, ZMQ_RCVHWM, 0);
  set(socket, ZMQ_HEARTBEAT_IVL, 2000);
  set(socket, ZMQ_HEARTBEAT_TIMEOUT, 6000);
  zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &largest_frame, sizeof largest_frame);
  if (end == End::router) {
    set(socket, ZMQ_ROUTER_HANDOVER, 1);  // a reader that comes back takes its old place
    set(socket, ZMQ_ROUTER_MANDATORY, 1);
  } else {
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, identity.data(), identity.size());
    set(socket, ZMQ_RECONNECT_IVL, 50);
    set(socket, ZMQ_RECONNECT_IVL_MAX, 1000);
  }
  int opened = end == End::router ? zmq_bind(socket, address.c_str()) : zmq_connect(socket, address.c_str());
  if (opened != 0) {
    std::string why = zmq_strerror(errno);
    zmq_close(socket);
    return unavailable(fmt::format("cannot {} {}: {}", end == End::router ? "listen at" : "connect to", address, why));
  }
  return std::unique_ptr<Socket>(new Socket(socket, end, std::move(handlers)));
}

Socket::Socket(void* socket, End end, Handlers handlers)
    : socket_(socket), end_(end), handlers_(std::move(handlers)), wakes_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(wakes_ >= 0);
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

Socket::~Socket() {
  thread_.request_stop();
  wake();
  thread_.join();
  zmq_close(socket_);
  close(wakes_);
}

void Socket::wake() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wakes_, &one, sizeof one);
}

void Socket::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    handlers_.turn();
    zmq_pollitem_t polled[] = {{socket_, 0, ZMQ_POLLIN, 0}, {nullptr, wakes_, ZMQ_POLLIN, 0}};
    zmq_poll(polled, 2, pace.count());
    std::uint64_t count = 0;
    if (polled[1].revents != 0) [[maybe_unused]]
      ssize_t taken = read(wakes_, &count, sizeof count);
    while (receive()) {
    }
  }
}

bool Socket::receive() {
  Part peer, frame;
  if (end_ == End::router) {
    if (zmq_msg_recv(&peer.message, socket_, ZMQ_DONTWAIT) < 0) return false;
    if (!zmq_msg_more(&peer.message)) return true;
  }
  if (zmq_msg_recv(&frame.message, socket_, ZMQ_DONTWAIT) < 0) return false;
  bool more = zmq_msg_more(&frame.message) != 0;
  if (!more) handlers_.on_frame(peer.view(), frame.view());
  while (more) {  // nobody who speaks this protocol sends more parts
    Part surplus;
    if (zmq_msg_recv(&surplus.message, socket_, ZMQ_DONTWAIT) < 0) break;
    more = zmq_msg_more(&surplus.message) != 0;
  }
  return true;
}

bool Socket::send(std::string_view peer, std::string_view frame) {
  if (end_ == End::router && zmq_send(socket_, peer.data(), peer.size(), ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) return false;
  return zmq_send(socket_, frame.data(), frame.size(), ZMQ_DONTWAIT) >= 0;
}

}  // namespace millrace::link
