#include "runner/http/connection.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>

#include "runner/http/request_head.h"

namespace millrace::http {
namespace beast_http = boost::beast::http;
namespace {

constexpr auto drain_time = std::chrono::seconds(2);
constexpr std::size_t early_bytes = 64U << 10U;  ///< of later requests, kept while one is handled

/// "Sun, 06 Nov 1994 08:49:37 GMT", whatever the locale (RFC 9110 section 5.6.7).
std::string http_date(std::time_t now) {
  static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm t{};
  gmtime_r(&now, &t);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", days[static_cast<std::size_t>(t.tm_wday)], t.tm_mday,
                     months[static_cast<std::size_t>(t.tm_mon)], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

std::string_view reason_of(int status) {
  auto reason = beast_http::obsolete_reason(beast_http::int_to_status(static_cast<unsigned>(status)));
  return {reason.data(), reason.size()};
}

bool may_have_body(int status) { return status >= 200 && status != 204 && status != 304; }

std::string head_of(const Response& response, std::size_t length, bool keep_alive) {
  std::string head;
  auto out = std::back_inserter(head);
  fmt::format_to(out, "HTTP/1.1 {} {}\r\nDate: {}\r\n", response.status, reason_of(response.status),
                 http_date(std::time(nullptr)));
  if (may_have_body(response.status)) {
    if (!response.content_type.empty()) fmt::format_to(out, "Content-Type: {}\r\n", response.content_type);
    fmt::format_to(out, "Content-Length: {}\r\n", length);
  }
  head += "X-Content-Type-Options: nosniff\r\n";
  for (const auto& [name, value] : response.headers) fmt::format_to(out, "{}: {}\r\n", name, value);
  head += keep_alive ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n";
  return head;
}

/// The path and query of a request target in origin or absolute form.
std::pair<std::string_view, std::string_view> split_target(std::string_view target) {
  if (auto scheme = target.find("://"); scheme != std::string_view::npos && !target.starts_with('/')) {
    auto path = target.find('/', scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  auto question = target.find('?');
  if (question == std::string_view::npos) return {target, {}};
  return {target.substr(0, question), target.substr(question + 1)};
}

std::string_view view(boost::beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Connection::Connection(Service& service, std::unique_ptr<SocketStream> stream)
    : service_(service),
      stream_(std::move(stream)),
      remote_(stream_->remote_address()),
      deadline_(Loop::Clock::now() + service.limits.request_time) {}

void Connection::start() { wait_readable(); }

void Connection::wait_readable() {
  if (waiting_) return;
  waiting_ = true;
  stream_->when_readable([this] {
    waiting_ = false;
    on_readable();
  });
}

void Connection::on_readable() {
  auto self = shared_from_this();
  if (state_ == State::draining) return drain();
  Io io = stream_->read(service_.loop->scratch());
  if (io.closed) {
    if (auto gone = std::exchange(gone_, nullptr)) gone();
    return close();
  }
  bool idle = in_.empty() && !parser_;
  in_.append(service_.loop->scratch().data(), io.bytes);
  if (state_ == State::reading) {
    if (idle && io.bytes > 0) deadline_ = Loop::Clock::now() + service_.limits.request_time;
    return proceed();
  }
  if (state_ == State::handling && gone_ && in_.size() < early_bytes) wait_readable();
}

void Connection::proceed() {
  if (proceeding_) return;  // an answer given within its handler comes back here; the loop below goes on
  proceeding_ = true;
  while (state_ == State::reading) {
    if (!parser_ && !begin_request()) break;
    if (!read_body()) break;
    dispatch();
  }
  proceeding_ = false;
  if (state_ == State::reading) wait_readable();
}

bool Connection::begin_request() {
  while (in_.starts_with("\r\n")) in_.erase(0, 2);  // RFC 9112 section 2.2: empty lines before a request are ignored
  auto end = in_.find("\r\n\r\n");
  std::size_t size = end == std::string::npos ? in_.size() : end + 4;
  if (size > service_.limits.header_bytes) {
    refuse(431);
    return false;
  }
  if (end == std::string::npos) return false;
  if (int status = judge_request_head(std::string_view(in_).substr(0, size))) {
    refuse(status);
    return false;
  }
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(service_.limits.header_bytes));
  parser_->body_limit(service_.limits.body_bytes);
  parser_->eager(true);
  return true;
}

bool Connection::read_body() {
  bool had_header = parser_->is_header_done();
  while (!parser_->is_done() && !in_.empty()) {
    boost::system::error_code error;
    std::size_t used = parser_->put(boost::asio::buffer(in_), error);
    in_.erase(0, used);
    if (error == beast_http::error::need_more) break;
    if (error) {
      refuse(error == beast_http::error::body_limit ? 413 : 400);
      return false;
    }
  }
  if (parser_->is_done()) return true;
  if (!had_header && parser_->is_header_done() && view(parser_->get()[beast_http::field::expect]) == "100-continue") {
    constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    stream_->write(std::span(&go_on, 1));
  }
  return false;
}

void Connection::dispatch() {
  service_.counters->requests.add();
  auto message = parser_->release();
  parser_.reset();
  state_ = State::handling;
  head_only_ = message.method() == beast_http::verb::head;
  deadline_ = Loop::Clock::time_point::max();

  Request request{.method = std::string(view(message.method_string())),
                  .remote = remote_,
                  .secure = service_.secure,
                  .loopback_listener = service_.loopback};
  auto [path, query] = split_target(view(message.target()));
  auto decoded = percent_decode(path, false);
  if (!decoded || (!decoded->starts_with('/') && *decoded != "*")) return refuse(400);
  request.path = std::move(*decoded);
  request.query = query;
  for (const auto& field : message) request.headers.emplace_back(view(field.name_string()), view(field.value()));
  request.body = std::move(message.body());
  keep_alive_ = message.version() == 11 ? !request.header_has_token("Connection", "close")
                                        : request.header_has_token("Connection", "keep-alive");

  Exchange exchange(shared_from_this());
  if (Handler handler = service_.routes->find(request.path)) return handler(request, std::move(exchange));
  exchange.respond({.status = 404, .body = "There is nothing here.\n"});
}

void Connection::refuse(int status) {
  service_.counters->refused_malformed.add();
  keep_alive_ = false;
  state_ = State::handling;
  respond({.status = status, .body = fmt::format("{}\n", reason_of(status))});
}

void Connection::respond(Response response) {
  if (state_ != State::handling) return;
  gone_ = nullptr;
  if (service_.closing) keep_alive_ = false;
  std::size_t length = response.lasting_body.empty() ? response.body.size() : response.lasting_body.size();
  out_ = head_of(response, length, keep_alive_);
  lasting_ = {};
  if (!head_only_ && may_have_body(response.status)) {
    out_ += response.body;
    lasting_ = response.lasting_body;
  }
  sent_ = 0;
  state_ = State::writing;
  deadline_ = Loop::Clock::now() + service_.limits.idle_time;
  write_out();
}

void Connection::write_out() {
  auto self = shared_from_this();
  std::size_t total = out_.size() + lasting_.size();
  while (sent_ < total) {
    std::string_view head = sent_ < out_.size() ? std::string_view(out_).substr(sent_) : std::string_view{};
    std::string_view body = sent_ > out_.size() ? lasting_.substr(sent_ - out_.size()) : lasting_;
    std::array pieces{head, body};
    Io io = head.empty() ? stream_->write(std::span(&body, 1)) : stream_->write(pieces);
    sent_ += io.bytes;
    if (io.closed) return close();
    if (io.bytes == 0) return stream_->when_writable([this] { write_out(); });
    deadline_ = Loop::Clock::now() + service_.limits.idle_time;
  }
  answered();
}

void Connection::answered() {
  out_ = {};
  lasting_ = {};
  if (!keep_alive_) {
    // Closing with unread input would reset the connection and could take the answer with it: read on until the client is done.
    state_ = State::draining;
    deadline_ = Loop::Clock::now() + drain_time;
    stream_->end_writing();
    return drain();
  }
  state_ = State::reading;
  deadline_ = Loop::Clock::now() + (in_.empty() ? service_.limits.idle_time : service_.limits.request_time);
  proceed();
}

void Connection::drain() {
  while (true) {
    Io io = stream_->read(service_.loop->scratch());
    if (io.closed) return close();
    if (io.bytes == 0) return wait_readable();
  }
}

std::unique_ptr<Stream> Connection::take_over(std::string_view head) {
  auto self = shared_from_this();
  if (state_ == State::handling) {
    state_ = State::closed;
    gone_ = nullptr;
    stream_->drop_callbacks();
    // A socket that cannot take a short head at once is a broken one; its new owner reads the end.
    if (stream_->write(std::span(&head, 1)).bytes != head.size()) stream_->close();
    stream_->unread(std::move(in_));
    service_.connections.erase(self);
  }
  return std::move(stream_);
}

void Connection::when_gone(std::function<void()> gone) {
  if (state_ != State::handling) return;
  gone_ = std::move(gone);
  wait_readable();
}

void Connection::sweep(Loop::Clock::time_point now) {
  if (now < deadline_) return;
  auto self = shared_from_this();
  if (state_ != State::draining) service_.counters->timed_out.add();
  if (state_ == State::reading && (parser_ || !in_.empty())) {
    keep_alive_ = false;
    state_ = State::handling;
    return respond({.status = 408, .body = "The request took too long.\n"});
  }
  close();
}

void Connection::retire() {
  if (state_ == State::reading && !parser_ && in_.empty()) close();
}

void Connection::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  auto self = shared_from_this();
  stream_->close();
  service_.connections.erase(self);
}

}  // namespace millrace::http
