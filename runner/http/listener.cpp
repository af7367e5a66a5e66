#include "runner/http/listener.h"

#include <fmt/core.h>

#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>

#include "runner/config/text_file.h"
#include "runner/http/access.h"
#include "runner/http/connection.h"
#include "runner/http/listen_problems.h"
#include "runner/http/tls.h"

namespace millrace::http {

using boost::asio::ip::tcp;

namespace {

bool asks_for_tokens(const ListenOptions& options) {
  return options.auth == Auth::required || (options.auth == Auth::automatic && !options.address.loopback());
}

}  // namespace

/// Everything but start and stop runs on the loop's thread.
class Listener::Impl {
 public:
  Impl(ListenOptions listen, Log say) : options(std::move(listen)), log(std::move(say)) {
    service.loop = loop;
    service.limits = options.limits;
    service.routes = &routes;
    service.counters = &counters;
    service.secure = options.tls.has_value();
    service.loopback = options.address.loopback();
  }

  ~Impl() { stop(std::chrono::milliseconds(0)); }

  Result<std::uint16_t> start();
  void stop(std::chrono::milliseconds grace);
  Result<bool> renew_certificate();

  ListenOptions options;
  Log log;
  std::shared_ptr<AsioLoop> loop = std::make_shared<AsioLoop>();
  std::shared_ptr<ListenerCounters> counters_owner = std::make_shared<ListenerCounters>();
  ListenerCounters& counters = *counters_owner;
  Routes routes{loop, std::make_shared<const Access>(asks_for_tokens(options), options.keys)};

 private:
  std::string certificate_text() const;
  Result<std::uint16_t> bind();
  void accept();
  void accepted(boost::system::error_code error, tcp::socket socket);
  void welcome(tcp::socket socket);
  void sweep();
  void schedule_sweep();
  void close_when_quiet();

  Service service;
  std::shared_ptr<TlsContext> tls_;
  std::string tls_text_;  ///< what certificate and key held when they were last looked at
  tcp::acceptor acceptor_{loop->context()};
  Timer sweep_timer_;
  Timer accept_timer_;
  bool complained_ = false;
  bool started_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool quiet_ = false;
};

Result<std::uint16_t> Listener::Impl::bind() {
  boost::system::error_code error;
  auto address = boost::asio::ip::make_address(options.address.host, error);
  if (error) return invalid(fmt::format("'{}' is not a numeric address to listen on", options.address.host));
  tcp::endpoint endpoint(address, options.address.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && address.is_v6()) acceptor_.set_option(boost::asio::ip::v6_only(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(4096, error);
  if (!error) return acceptor_.local_endpoint().port();

  boost::system::error_code ignored;
  acceptor_.close(ignored);
  if (error == boost::asio::error::address_in_use)
    return unavailable(
        fmt::format("{} is occupied: another program, or another millrace, listens there; stop it, or choose another port with "
                    "`listen:` or --listen",
                    options.address.text()));
  if (error == boost::asio::error::access_denied)
    return invalid(
        fmt::format("{} may not be opened by this user: ports below 1024 need the right to; choose a higher one with "
                    "`listen:` or --listen",
                    options.address.text()));
  return invalid(
      fmt::format("{} cannot be listened on: {}; give an address of this machine", options.address.text(), error.message()));
}

Result<std::uint16_t> Listener::Impl::start() {
  if (auto exposed = exposure_problem(options)) return invalid(*exposed);
  if (options.tls) {
    tls_text_ = certificate_text();
    auto tls = TlsContext::load(options.tls->cert, options.tls->key);
    if (!tls) return tls.error();
    tls_ = *tls;
  }
  auto port = bind();
  if (!port) return port;
  started_ = true;
  loop->post([this] {
    accept();
    schedule_sweep();
  });
  loop->start();
  return port;
}

std::string Listener::Impl::certificate_text() const {
  std::string text;
  for (const auto& path : {options.tls->cert, options.tls->key}) {
    Result<std::string> file = config::read_text_file(path);
    text += file ? *file : file.error().what;
  }
  return text;
}

Result<bool> Listener::Impl::renew_certificate() {
  if (!options.tls || !started_) return false;
  std::string text = certificate_text();
  if (text == tls_text_) return false;
  tls_text_ = std::move(text);
  auto tls = TlsContext::load(options.tls->cert, options.tls->key);
  if (!tls) return tls.error();
  loop->post([this, renewed = std::move(*tls)]() mutable { tls_ = std::move(renewed); });
  return true;
}

void Listener::Impl::accept() {
  acceptor_.async_accept([this](boost::system::error_code error, tcp::socket socket) {
    auto turn = loop->turn();
    accepted(error, std::move(socket));
  });
}

void Listener::Impl::accepted(boost::system::error_code error, tcp::socket socket) {
  if (error == boost::asio::error::operation_aborted || !acceptor_.is_open()) return;
  if (!error) {
    welcome(std::move(socket));
    return accept();
  }
  // Out of descriptors, most likely: they come back when clients leave, so try again a little later.
  if (!std::exchange(complained_, true) && log)
    log(LogLevel::warning, fmt::format("{}: a connection could not be accepted: {}", options.address.text(), error.message()));
  accept_timer_ = loop->after(std::chrono::milliseconds(100), [this] { accept(); });
}

void Listener::Impl::welcome(tcp::socket socket) {
  counters.accepted.add();
  if (counters.connections.value() >= options.limits.connections) {
    counters.refused_full.add();
    return;
  }
  std::shared_ptr<Counter> open(counters_owner, &counters.connections);
  std::unique_ptr<SocketStream> stream;
  if (tls_) {
    stream = std::make_unique<TlsStream>(tls_, loop, std::move(socket), open);
  } else {
    stream = std::make_unique<SocketStream>(loop, std::move(socket), open);
  }
  auto connection = std::make_shared<Connection>(service, std::move(stream));
  service.connections.insert(connection);
  connection->start();
}

void Listener::Impl::schedule_sweep() {
  auto pause = std::clamp<std::chrono::milliseconds>(options.limits.request_time / 8, std::chrono::milliseconds(10),
                                                     std::chrono::milliseconds(500));
  sweep_timer_ = loop->after(pause, [this] {
    sweep();
    schedule_sweep();
  });
}

void Listener::Impl::sweep() {
  auto now = Loop::Clock::now();
  std::vector<std::shared_ptr<Connection>> all(service.connections.begin(), service.connections.end());
  for (const auto& connection : all) connection->sweep(now);
}

void Listener::Impl::close_when_quiet() {
  if (counters.connections.value() == 0) {
    std::lock_guard lock(mutex_);
    quiet_ = true;
    changed_.notify_all();
    return;
  }
  accept_timer_ = loop->after(std::chrono::milliseconds(5), [this] { close_when_quiet(); });
}

void Listener::Impl::stop(std::chrono::milliseconds grace) {
  if (!std::exchange(started_, false)) return;
  loop->post([this] {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    service.closing = true;
    std::vector<std::shared_ptr<Connection>> all(service.connections.begin(), service.connections.end());
    for (const auto& connection : all) connection->retire();
    close_when_quiet();
  });
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, grace, [this] { return quiet_; });
  }
  loop->stop();
  sweep_timer_ = {};
  accept_timer_ = {};
  // An Exchange that is still held somewhere finds its connection closed.
  std::vector<std::shared_ptr<Connection>> left(service.connections.begin(), service.connections.end());
  for (const auto& connection : left) connection->close();
}

Listener::Listener(ListenOptions options, Log log) : impl_(std::make_unique<Impl>(std::move(options), std::move(log))) {}
Listener::~Listener() = default;
Result<std::uint16_t> Listener::start() { return impl_->start(); }
void Listener::stop(std::chrono::milliseconds grace) { impl_->stop(grace); }
Result<bool> Listener::renew_certificate() { return impl_->renew_certificate(); }
Routes& Listener::routes() { return impl_->routes; }
const ListenOptions& Listener::options() const { return impl_->options; }
const ListenerCounters& Listener::counters() const { return impl_->counters; }

}  // namespace millrace::http
