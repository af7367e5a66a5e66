#include "plugins/signalr/long_polling_transport.h"

#include <array>

namespace millrace::signalr {
namespace {

http::Response response(int status, std::string body, std::vector<http::Header> headers) {
  headers.emplace_back("Cache-Control", "no-cache, no-store");
  headers.emplace_back("Pragma", "no-cache");
  headers.emplace_back("Expires", "Thu, 01 Jan 1970 00:00:00 GMT");
  return {.status = status,
          .content_type = status == 200 ? "application/octet-stream" : "",
          .body = std::move(body),
          .headers = std::move(headers)};
}

}  // namespace

LongPollingTransport::LongPollingTransport(Owner& owner, Outgoing& queue, std::shared_ptr<http::Loop> loop, Limits limits)
    : owner_(owner), queue_(queue), loop_(std::move(loop)), limits_(limits), since_(http::Loop::Clock::now()) {}

LongPollingTransport::~LongPollingTransport() {
  if (poll_) answer(204);
}

void LongPollingTransport::poll(std::vector<http::Header> headers, http::Exchange exchange) {
  if (poll_) answer(204);
  poll_ = std::make_shared<Poll>(Poll{std::move(exchange), std::move(headers), this});
  since_ = http::Loop::Clock::now();
  if (!std::exchange(polled_, true)) return answer(200);
  if (state_ == State::ended || (state_ == State::closing && queue_.empty())) {
    answer(204);
    return abort();
  }
  poll_->exchange.when_gone([weak = std::weak_ptr<Poll>(poll_)] {
    auto poll = weak.lock();
    if (poll && poll->transport) poll->transport->answer(204);
  });
  owner_.writable();
}

void LongPollingTransport::remove() {
  state_ = state_ == State::ended ? State::ended : State::closing;
  if (poll_) answer(204);
  owner_.broken();
}

bool LongPollingTransport::write(Outgoing& queue) {
  if (queue.empty()) return true;
  if (!poll_ || state_ == State::ended) return false;
  std::string body;
  std::array<std::string_view, 16> pieces;
  while (!queue.empty()) {
    std::size_t before = body.size();
    for (std::size_t i = 0, count = queue.front(pieces); i < count; ++i) body += pieces[i];
    queue.sent(body.size() - before);
  }
  answer(200, std::move(body));
  return true;
}

/// The client's next poll brings it the rest, the one after that the end.
void LongPollingTransport::close(Outgoing& queue, http::websocket::CloseCode, std::string_view) {
  if (state_ != State::open) return;
  state_ = State::closing;
  write(queue);
  if (!poll_) return;
  answer(204);
  owner_.broken();
}

bool LongPollingTransport::tick(Time now) {
  if (!poll_) return now - since_ < limits_.away;
  if (now - since_ >= limits_.poll) answer(200);
  return true;
}

void LongPollingTransport::answer(int status, std::string body) {
  since_ = http::Loop::Clock::now();
  poll_->transport = nullptr;
  loop_->post([poll = std::move(poll_), status, body = std::move(body)] {
    poll->exchange.respond(response(status, body, std::move(poll->headers)));
  });
  poll_ = nullptr;
}

void LongPollingTransport::abort() {
  if (state_ == State::ended) return;
  state_ = State::ended;
  if (poll_) answer(204);
  owner_.ended();
}

}  // namespace millrace::signalr
