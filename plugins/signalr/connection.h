#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/call.h"
#include "plugins/signalr/frame.h"
#include "plugins/signalr/outgoing.h"
#include "plugins/signalr/protocol.h"
#include "plugins/signalr/scope.h"
#include "plugins/signalr/shares.h"
#include "plugins/signalr/streams.h"
#include "plugins/signalr/transport.h"
#include "runner/http/identity.h"
#include "runner/http/loop.h"

namespace millrace::signalr {

class Hub;

/// Why the server ends a connection, for counting.
enum class End { client, handshake, timeout, protocol, too_big, slow, shutdown, expired, expelled };

/// One client of a hub: handshake, messages, what it has joined, what it is still to be sent. Owned by its hub; belongs to the
/// loop's thread.
class Connection final : public Transport::Owner, public std::enable_shared_from_this<Connection> {
 public:
  using Time = http::Loop::Clock::time_point;

  /// `protocol` is null for a client that is to shake hands first.
  Connection(Hub& hub, std::string id, std::string token, const Protocol* protocol, Time now);
  ~Connection() override;

  void attach(std::unique_ptr<Transport> transport);

  /// Lets the client reconnect without loss, if it asks for that when it shakes hands. Before attach().
  void offer_resuming() { offers_resuming_ = true; }

  /// Whether another WebSocket may take the place of the one that was cut, or that only we believe to live.
  bool resumable() { return queue_.replay() && (!leaving() || (!closing_ && transport_->cut())); }

  /// Goes on with another transport: what was not acknowledged goes out again.
  void resume(std::unique_ptr<Transport> transport);

  const std::string& id() const { return id_; }
  std::string_view transport_name() const { return transport_->name(); }
  Outgoing& queue() { return queue_; }

  /// The client's protocol, once it is ready to receive.
  const Protocol* protocol() const { return active_ ? protocol_ : nullptr; }

  /// Whether it has named what it wants; until then it gets everything.
  bool selective() const { return selective_; }
  bool in_group(std::string_view group) const;
  const std::vector<std::string>& groups() const { return groups_; }

  /// Who it is and what it may do, by the token that it came with or has renewed.
  const http::Identity& identity() const { return identity_; }

  /// Whether it is closing, or has: nothing that is sent reaches it any more.
  bool gone() const { return leaving(); }

  /// Whether its client acknowledges what it gets.
  bool confirms() { return queue_.replay() != nullptr; }

  /// Whether it may see what is for the group, or join it.
  bool may_see(std::string_view group) const { return !scope_ || scope_->covers(group); }

  /// Queues a frame, which flush() sends. Nothing happens to a connection that is closing.
  void send(const SharedFrame& frame);

  /// Sends text as it is, on a hub without a hub protocol.
  void send_text(std::string_view text);

  /// Writes what is queued, then what is owed.
  void flush();

  /// Calls a method of this client; `arguments` is a list. It does not answer.
  void invoke_client(std::string_view target, const nlohmann::json& arguments);

  /// Calls a method of this client that returns something; `answered` is called once, with an error if it goes or cannot be
  /// called.
  void invoke_client(std::string_view target, const nlohmann::json& arguments,
                     const std::function<void(ClientResult)>& answered);

  /// Sends an item of a stream that the client has asked for.
  void send_item(std::string_view invocation, const nlohmann::json& item);
  void send_item(std::string_view invocation, Encoded item);

  /// What runs beside plain calls.
  Streams& streams();

  /// Calls `drained` once, when everything that waits for this client has been sent.
  void when_drained(std::function<void()> drained);

  /// Answers an invocation; `result` is null for a method that has none.
  void complete(std::string_view invocation, const nlohmann::json* result);
  void complete(std::string_view invocation, std::span<const Encoded> items);
  void complete_with_error(std::string_view invocation, std::string_view error);

  /// Ends the connection with a Close message, then the transport's own closing.
  void close(End why, std::string_view error, bool allow_reconnect);

  /// Whether it has sent messages faster than it may, so that the rest waits for a tick.
  bool held() const { return held_; }

  /// Calls `then` once: with true when it no longer is, at once if it is not; with false if the connection ends before. One at
  /// a time.
  void when_released(std::function<void(bool)> then);

  /// Looks at the clocks: time-outs, keep-alive, how many messages are allowed by now.
  void tick(Time now);

  /// Ends at once.
  void abort();

  void received(std::string_view bytes) override;
  void received_too_much() override;
  void received_all() override;
  bool wants_more() const override { return !held_; }
  void writable() override;
  void broken() override;
  void ended() override;

 private:
  friend class Hub;

  /// Whether it is closing: nothing more goes out.
  bool leaving() const { return closing_ || (!cut_ && transport_->closing()); }
  void drop();
  void acknowledge();
  void allow_more(Time now);
  bool answers_probes(Time now);
  void consume();
  bool handle_first(std::string_view message);
  bool handle(std::string_view message);
  bool acknowledged(std::uint64_t number);
  bool resequenced(std::uint64_t number);
  void cancel(const std::string& invocation);
  void refuse_handshake(const std::string& response);
  void fail(std::string_view error);
  void invoke(Message message);
  template <class Append>
  void send_message(Append append);
  void activate();

  Hub& hub_;
  std::string id_;
  std::string token_;  ///< empty if it came without negotiating
  const Protocol* protocol_;
  bool active_ = false;
  bool selective_ = false;
  bool closing_ = false;
  bool offers_resuming_ = false;
  bool cut_ = false;  ///< without a transport for now; the client may resume
  bool held_ = false;
  bool probed_ = false;     ///< asked whether it lives since it was last heard
  bool doomed_ = false;     ///< drop() is due
  bool flush_due_ = false;  ///< in the hub's list of those to flush
  bool client_pings_ = false;
  End end_ = End::client;
  std::unique_ptr<Transport> transport_;
  Outgoing queue_;
  std::string in_;                    ///< an incomplete message
  Receipts receipts_;                 ///< with stateful reconnect
  std::size_t unacknowledged_ = 0;    ///< bytes from the client since our last acknowledgement
  std::unique_ptr<Streams> streams_;  ///< made when the first is begun
  std::vector<std::string> groups_;
  std::function<void(bool)> released_;
  double allowed_;  ///< messages that may still come now
  Time allowed_at_;
  std::set<std::string> asked_;  ///< of these, those that the client itself has joined
  http::Identity identity_;
  Time ends_ = Time::max();  ///< when its token does
  Shares::Held share_;
  Scope* scope_ = nullptr;  ///< of one that may not see everything
  Time opened_;
  Time last_received_;  ///< or last seen to read what had to wait for it
  Time last_sent_;      ///< or, without a hub protocol, last asked whether it lives
  Time closing_since_{};
  Time cut_since_{};
  std::size_t place_ = 0;  ///< in the hub's list of connections
};

}  // namespace millrace::signalr
