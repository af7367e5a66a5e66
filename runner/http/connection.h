#pragma once

// Internal to the room; shows Asio and Beast.

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "runner/http/listener.h"
#include "runner/http/socket_stream.h"

namespace millrace::http {

class Connection;

/// What the connections of one listener share. Belongs to the loop's thread, but for the counters and routes.
struct Service {
  std::shared_ptr<AsioLoop> loop;
  Limits limits;
  Routes* routes = nullptr;
  ListenerCounters* counters = nullptr;
  bool secure = false;
  bool loopback = false;
  bool closing = false;                                         ///< no request after the current one
  std::unordered_set<std::shared_ptr<Connection>> connections;  ///< those that still speak HTTP
};

/// One HTTP/1.1 connection: reads a request, has it handled, writes the answer, and again. Requests that arrive early wait in
/// the buffer. It ends when the client leaves, breaks the rules or is too slow, or when a handler takes the stream over.
class Connection final : public Exchange::Peer, public std::enable_shared_from_this<Connection> {
 public:
  Connection(Service& service, std::unique_ptr<SocketStream> stream);

  void start();

  /// Closes if the deadline of whatever it waits for has passed.
  void sweep(Loop::Clock::time_point now);

  /// No more requests: closes if idle, else after the answer.
  void retire();

  void close();

  void respond(Response response) override;
  std::unique_ptr<Stream> take_over(std::string_view head) override;
  void when_gone(std::function<void()> gone) override;

 private:
  enum class State { reading, handling, writing, draining, closed };
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void wait_readable();
  void on_readable();
  void proceed();
  bool begin_request();
  bool read_body();
  void dispatch();
  void refuse(int status);
  void write_out();
  void answered();
  void drain();

  Service& service_;
  std::unique_ptr<SocketStream> stream_;
  std::string remote_;
  State state_ = State::reading;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool waiting_ = false;  ///< for the socket to become readable
  bool proceeding_ = false;
  std::string in_;
  std::optional<Parser> parser_;
  std::string out_;
  std::string_view lasting_;
  std::size_t sent_ = 0;
  std::function<void()> gone_;
  Loop::Clock::time_point deadline_;
};

}  // namespace millrace::http
