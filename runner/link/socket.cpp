#include "runner/link/socket.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <cassert>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <vector>

namespace millrace::link {
namespace {

constexpr std::size_t key_bytes = 32, key_text = 40;

/// A received part, released at the end of its scope.
struct Part {
  zmq_msg_t message;
  Part() { zmq_msg_init(&message); }
  ~Part() { zmq_msg_close(&message); }
  bool receive(void* from) { return zmq_msg_recv(&message, from, ZMQ_DONTWAIT) >= 0; }
  std::string_view view() { return {static_cast<char*>(zmq_msg_data(&message)), zmq_msg_size(&message)}; }
};

bool is_loopback(const std::string& host) {
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return ntohl(v4.s_addr) >> 24U == 127;
  return host == "localhost" || host == "[::1]";
}

void set(void* socket, int option, int value) { zmq_setsockopt(socket, option, &value, sizeof value); }

}  // namespace

std::optional<std::string> address_problem(const std::string& address, bool has_keys) {
  if (address.starts_with("ipc://") && address.size() > 6) return std::nullopt;
  if (!address.starts_with("tcp://")) return fmt::format("'{}' is no address: expected ipc://PATH or tcp://HOST:PORT", address);
  if (has_keys || is_loopback(address.substr(6, address.rfind(':') - 6))) return std::nullopt;
  return fmt::format("'{}' is beyond this machine: such a link needs the keys of both ends, see 'curve'", address);
}

std::optional<std::string> key_problem(std::string_view key) {
  std::uint8_t decoded[key_bytes];
  std::string text(key);
  // libzmq decodes whatever has a length that fits, so the round trip says whether all characters were Z85's.
  char again[key_text + 1];
  if (text.size() == key_text && zmq_z85_decode(decoded, text.c_str()) && zmq_z85_encode(again, decoded, key_bytes) &&
      text == again)
    return std::nullopt;
  return "expected a key of 40 characters, as `millrace curve` makes them";
}

CurvePair make_curve_pair() {
  char open[key_text + 1], secret[key_text + 1];
  [[maybe_unused]] int made = zmq_curve_keypair(open, secret);
  assert(made == 0 && "Debian's libzmq has CURVE");
  return {secret, open};
}

Result<std::unique_ptr<Socket>> Socket::open(End end, const std::string& address, const std::string& identity,
                                             const Curve& curve, Handlers handlers) {
  std::unique_ptr<Socket> made(new Socket(end, std::move(handlers)));
  if (auto opened = made->open(address, identity, curve); !opened) return opened.error();
  made->thread_ = std::jthread([socket = made.get()](std::stop_token stop) { socket->run(stop); });
  return made;
}

Socket::Socket(End end, Handlers handlers)
    : end_(end), context_(zmq_ctx_new()), handlers_(std::move(handlers)), wakes_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  assert(wakes_ >= 0);
}

Result<void> Socket::open(const std::string& address, const std::string& identity, const Curve& curve) {
  socket_ = zmq_socket(context_, end_ == End::router ? ZMQ_ROUTER : ZMQ_DEALER);
  if (!socket_) return unavailable(fmt::format("{}: {}", address, zmq_strerror(errno)));
  set(socket_, ZMQ_LINGER, 1000);
  set(socket_, ZMQ_SNDHWM, 0);  // credit is the limit
  set(socket_, ZMQ_RCVHWM, 0);
  set(socket_, ZMQ_HEARTBEAT_IVL, 2000);
  set(socket_, ZMQ_HEARTBEAT_TIMEOUT, 6000);
  const std::int64_t largest = largest_frame;
  zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &largest, sizeof largest);
  if (end_ == End::router) {
    set(socket_, ZMQ_ROUTER_HANDOVER, 1);  // a reader that comes back takes its old place
    set(socket_, ZMQ_ROUTER_MANDATORY, 1);
  } else {
    zmq_setsockopt(socket_, ZMQ_ROUTING_ID, identity.data(), identity.size());
    set(socket_, ZMQ_IMMEDIATE, 1);  // what is said to nobody is not kept: it would grow as long as the publisher is away
    set(socket_, ZMQ_RECONNECT_IVL, 50);
    set(socket_, ZMQ_RECONNECT_IVL_MAX, 1000);
  }
  if (!curve.secret.empty() && !secure(curve)) return invalid(fmt::format("{}: the CURVE keys cannot be used", address));
  int opened = end_ == End::router ? zmq_bind(socket_, address.c_str()) : zmq_connect(socket_, address.c_str());
  if (opened == 0) return {};
  return unavailable(
      fmt::format("cannot {} {}: {}", end_ == End::router ? "listen at" : "connect to", address, zmq_strerror(errno)));
}

/// A router decides by ZAP (rfc.zeromq.org/spec/27) who comes in: CURVE by itself lets in whoever knows the router's key.
bool Socket::secure(const Curve& curve) {
  char open_key[key_text + 1];
  std::uint8_t peer[key_bytes];
  if (zmq_curve_public(open_key, curve.secret.c_str()) != 0 || !zmq_z85_decode(peer, curve.peer.c_str())) return false;
  peer_key_.assign(reinterpret_cast<const char*>(peer), sizeof peer);
  zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, curve.secret.c_str(), key_text + 1);
  if (end_ == End::router) {
    set(socket_, ZMQ_CURVE_SERVER, 1);
    zmq_setsockopt(socket_, ZMQ_ZAP_DOMAIN, "link", 4);
    knocks_ = zmq_socket(context_, ZMQ_REP);
    set(knocks_, ZMQ_LINGER, 0);
    if (zmq_bind(knocks_, "inproc://zeromq.zap.01") != 0) return false;
  } else {
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, open_key, key_text + 1);
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, curve.peer.c_str(), key_text + 1);
  }
  constexpr int failures =
      ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
  if (zmq_socket_monitor(socket_, "inproc://handshakes", failures) != 0) return false;
  events_ = zmq_socket(context_, ZMQ_PAIR);
  set(events_, ZMQ_LINGER, 0);
  return zmq_connect(events_, "inproc://handshakes") == 0;
}

Socket::~Socket() {
  if (thread_.joinable()) {
    thread_.request_stop();
    wake();
    thread_.join();
  }
  for (void* socket : {events_, knocks_, socket_})
    if (socket) zmq_close(socket);
  zmq_ctx_term(context_);
  close(wakes_);
}

void Socket::wake() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(wakes_, &one, sizeof one);
}

void Socket::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    handlers_.turn();
    zmq_pollitem_t polled[4] = {{socket_, 0, ZMQ_POLLIN, 0}, {nullptr, wakes_, ZMQ_POLLIN, 0}};
    int count = 2;
    for (void* more : {knocks_, events_})
      if (more) polled[count++] = {more, 0, ZMQ_POLLIN, 0};
    zmq_poll(polled, count, pace.count());
    std::uint64_t wakes = 0;
    if (polled[1].revents != 0) [[maybe_unused]]
      ssize_t taken = read(wakes_, &wakes, sizeof wakes);
    if (knocks_) authenticate();
    if (events_) observe();
    while (receive()) {
    }
  }
  handlers_.turn();  // the last word
}

void Socket::authenticate() {
  for (;;) {
    // Version, request, domain, address, identity, mechanism, key.
    std::vector<std::string> parts;
    for (bool more = true; more;) {
      Part part;
      if (!part.receive(knocks_)) return;
      parts.emplace_back(part.view());
      more = zmq_msg_more(&part.message) != 0;
    }
    bool known = parts.size() == 7 && parts[5] == "CURVE" && parts[6] == peer_key_;
    const std::string reply[] = {"1.0", parts.size() > 1 ? parts[1] : "", known ? "200" : "400", known ? "" : "another key", "",
                                 ""};
    for (const std::string& part : reply)
      zmq_send(knocks_, part.data(), part.size(), ZMQ_DONTWAIT | (&part == &reply[5] ? 0 : ZMQ_SNDMORE));
  }
}

void Socket::observe() {
  for (Part event, address; event.receive(events_) && address.receive(events_);) {
    std::uint16_t what = 0;
    std::memcpy(&what, event.view().data(), sizeof what);
    if (what == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH && end_ == End::dealer)
      handlers_.refused("the publisher does not know this reader's key: 'curve.reader' there has to be its public key");
    else if (end_ == End::dealer)
      handlers_.refused("no handshake with the publisher: 'curve.publisher' has to be its public key, and it has to use keys");
    else
      handlers_.refused("somebody without the reader's key was turned away: 'curve.reader' has to be its public key");
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
