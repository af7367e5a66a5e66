#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plugins/signalr/transport.h"
#include "runner/http/loop.h"
#include "runner/http/routes.h"

namespace millrace::signalr {

/// A hub connection over Long Polling: a GET after the other, each answered as soon as there is something to say, and a POST
/// for what the client says. Ends when the client deletes it, or stays away for longer than it may.
///
/// Polls are answered in a task of their own: an answer may bring the client's next request at once, which must not come in
/// between whatever has caused the answer.
class LongPollingTransport final : public Transport {
 public:
  using Duration = std::chrono::milliseconds;

  struct Limits {
    Duration poll;  ///< an idle poll is answered with nothing after this
    Duration away;  ///< without a poll for longer the client is gone
  };

  LongPollingTransport(Owner& owner, Outgoing& queue, std::shared_ptr<http::Loop> loop, Limits limits);
  ~LongPollingTransport() override;

  /// A GET. The first one is answered at once, with nothing; a later one ends one that still waits. `headers` go with the
  /// answer.
  void poll(std::vector<http::Header> headers, http::Exchange exchange);

  /// The client has deleted the connection.
  void remove();

  std::string_view name() const override { return "LongPolling"; }
  Framing framing() const override { return Framing::body; }
  bool write(Outgoing& queue) override;
  void close(Outgoing& queue, http::websocket::CloseCode code, std::string_view reason) override;
  bool closing() const override { return state_ != State::open; }
  void ping(Outgoing&) override {}
  bool tick(Time now) override;
  void abort() override;

 private:
  enum class State { open, closing, ended };

  struct Poll {
    http::Exchange exchange;
    std::vector<http::Header> headers;
    LongPollingTransport* transport;  ///< null once it is answered
  };

  void answer(int status, std::string body = {});

  Owner& owner_;
  Outgoing& queue_;
  std::shared_ptr<http::Loop> loop_;
  Limits limits_;
  State state_ = State::open;
  bool polled_ = false;         ///< whether the first poll has come
  std::shared_ptr<Poll> poll_;  ///< the one that waits; null: none
  Time since_;                  ///< when it has come, or the last one was answered
};

}  // namespace millrace::signalr
