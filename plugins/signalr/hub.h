#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plugins/signalr/breath.h"
#include "plugins/signalr/connection.h"
#include "plugins/signalr/frames.h"
#include "plugins/signalr/handover.h"
#include "plugins/signalr/history.h"
#include "plugins/signalr/joined.h"
#include "plugins/signalr/latest.h"
#include "plugins/signalr/negotiate.h"
#include "plugins/signalr/publication.h"
#include "plugins/signalr/shares.h"
#include "plugins/signalr/text_hash.h"
#include "plugins/signalr/upstream.h"
#include "runner/http/access.h"
#include "runner/http/origin.h"
#include "runner/http/rate_limit.h"
#include "runner/http/routes.h"
#include "runner/stage/context.h"
#include "runner/stage/error.h"

namespace millrace::signalr {

struct HubOptions {
  using Time = std::chrono::milliseconds;

  std::string path = "/hubs/telemetry";
  std::string plain = {};  ///< of the plain WebSocket; empty: none
  std::string rest = {};   ///< the hub's name at /api/hubs/{name}; empty: not there
  std::vector<std::string> origins = {};
  std::size_t client_queue = 64U << 10U;  ///< bytes
  SlowClient slow_client = SlowClient::newest;
  std::size_t max_connections = 10'000;
  std::size_t max_connections_per_user = 5'000;  ///< of one user or address, those that have only negotiated among them
  std::uint32_t series = 10'000;                 ///< whose latest record is kept
  Time flush{0};                                 ///< how long records gather before they go out
  std::size_t message_bytes = 32U << 10U;        ///< of one message from a client

  double message_rate = 1000;                                       ///< a client's messages a second, and in a burst
  http::Rate negotiations{.per_second = 200, .at_once = 5000};      ///< of one user or address
  http::Rate rest_requests{.per_second = 5000, .at_once = 25'000};  ///< likewise
  std::size_t replay_bytes = 100'000;  ///< kept for a client that may reconnect without loss; 0: that is not offered

  Time token_lifetime = std::chrono::minutes(5);  ///< of the token that negotiate hands out; its connection ends with it
  Time connection_lifetime{0};                    ///< that a connection has at least, as long as who negotiated could

  History::Limits history = {};
  std::vector<UpstreamRule> upstream = {};
  std::vector<std::string> upstream_keys = {};  ///< empty: those of the tokens

  Transports transports = {};

  Time keep_alive = std::chrono::seconds(15);
  Time client_timeout = std::chrono::seconds(30);
  Time handshake_timeout = std::chrono::seconds(15);
  Time attach_timeout = std::chrono::seconds(15);  ///< between negotiate and the transport, and between polls
  Time poll_timeout = std::chrono::seconds(90);    ///< an idle poll is answered with nothing
  Time close_timeout = std::chrono::seconds(5);

  friend bool operator==(const HubOptions&, const HubOptions&) = default;
};

/// Figures of a hub, any thread.
struct HubCounters {
  Counter clients;  ///< now
  Counter connected;
  Counter resumed;  ///< connections that were cut and went on
  Counter held;     ///< times that a client's messages came too fast
  Counter frames;   ///< made, each for any number of clients
  Counter records;  ///< queued to clients, or owed
  Counter conflated;
  Counter dropped;
  Counter evicted;  ///< series beyond the limit
  Counter invocations;
  Counter ended_by_client, ended_handshake, ended_timeout, ended_protocol, ended_slow, ended_shutdown, ended_expired,
      ended_expelled, refused_full, refused_user;
  Counter limited;  ///< negotiations and requests of REST beyond their rate
};

/// A SignalR hub on a listener: its connections, their groups, its methods, and the broadcast of what pipelines publish.
/// Everything happens on the listener's loop, but for open(), publish(), retire() and the counters, which any thread may use.
/// Owned by those who publish; let go of it on the loop (see Attachment).
///
/// A record without a narrower audience goes to every connection that never subscribed and may see it, and to those subscribers
/// who are in its device's group, an alert also to those in the group of its key; to each once. Each turn makes one frame an
/// audience and protocol.
///
/// Telemetry is numbered within its series, from 1, before anything of it is conflated; the hub's epoch tells its numbers from
/// those of any other hub, before a restart or elsewhere.
class Hub final : public std::enable_shared_from_this<Hub> {
 public:
  using Clock = http::Loop::Clock;

  Hub(std::shared_ptr<http::Loop> loop, HubOptions options);
  ~Hub();

  /// Claims the paths; fails if one is taken.
  Result<void> open(http::Routes& routes);

  /// Registers a method, its name in any case, that takes so many streams from its caller. Before open().
  void method(std::string_view name, Method method, std::size_t uploads = 0);

  /// Lets only those call a method who have the right; all others it lets those call who may read. Before open().
  void require(std::string_view name, http::Right right);

  /// Called for a method that nobody has registered, instead of an error. Before open().
  void otherwise(std::function<void(std::string target, Call)> method) { otherwise_ = std::move(method); }

  /// Registers a method whose result is a stream: it sends items with its Call, then lets go of it.
  void stream(std::string_view name, Method method, std::size_t uploads = 0);

  /// Asked about every request to the hub and its plain WebSocket; who may not make it gets 401. Before open().
  void authorize(std::function<bool(const http::Request&)> allowed) { allowed_ = std::move(allowed); }

  /// Sent with every answer to negotiate. Before open().
  void negotiate_with(std::vector<http::Header> headers) { negotiate_headers_ = std::move(headers); }

  /// Serves connections without a hub protocol: `received` gets what clients send, as it comes, and there is no handshake, no
  /// ping and no broadcast. Before open().
  void raw(std::function<void(Connection&, std::string_view)> received) { raw_ = std::move(received); }

  /// Called when a client has come, with the request that it came with, before it has shaken hands; and when one has gone.
  /// Before open().
  void on_connect(std::function<void(Connection&, const http::Request&)> connected) { connected_ = std::move(connected); }
  void on_disconnect(std::function<void(Connection&)> gone) { disconnected_ = std::move(gone); }

  /// Hands a batch over; false if too much is waiting already.
  bool publish(std::shared_ptr<const Publication> publication);

  /// Frees the paths, and closes every connection so that its client comes again.
  void retire();
  bool retired() const { return retired_; }

  const HubOptions& options() const { return options_; }
  const HubCounters& counters() const { return counters_; }

  /// The client asks for groups. From the first of a device on it gets the records of no other device. Those that it may not
  /// join stay as empty for it as those that do not exist.
  void subscribe(Connection& connection, const std::vector<std::string>& groups);
  void unsubscribe(Connection& connection, const std::vector<std::string>& groups);

  /// Calls `what` with every connection; it must not end any.
  template <class What>
  void each(What what) {
    for (const auto& connection : connections_) what(*connection);
  }
  /// Puts a client into a group, or takes it out, on the server's own authority.
  void join(Connection& connection, const std::string& group);
  void part(Connection& connection, const std::string& group);

  /// Puts a user's clients into a group, those that are here and, until `until`, those that come; or takes them out.
  /// False if groups are kept for too many users already.
  bool join_user(const std::string& user, const std::string& group, std::optional<Clock::time_point> until);
  void part_user(const std::string& user, const std::string& group);
  void part_user(const std::string& user);
  bool user_in_group(const std::string& user, const std::string& group) const;

  /// The client of that id, or null. Here and below, one that is being closed is not there any more, whether or not its client
  /// has taken note.
  std::shared_ptr<Connection> find(std::string_view id) const;

  /// Everybody in an audience; of Reach::interested, everybody.
  std::vector<std::shared_ptr<Connection>> audience(const Audience& audience) const;

  /// Calls a method of everybody in an audience; returns how many that are. `arguments` is a list.
  std::size_t send(const Audience& audience, std::string_view target, const nlohmann::json& arguments);

  /// What calls a method of clients, for who sends it himself. The arguments must outlive it.
  CallFrames frames_of_call(std::string_view target, const nlohmann::json& arguments);

  /// Ends a connection for good.
  void expel(Connection& connection, std::string_view reason);

  /// Replaces what a connection may do and when it ends by what the token says; false if it is none of the same user's.
  bool renew(Connection& connection, std::string_view token);

  /// The latest records of the groups, or of all, as far as the client may see them; valid until a loop's task publishes.
  std::vector<Encoded> latest(const Connection& connection, const std::vector<std::string>& groups) const;

  /// What there is of each series, for who has missed some.
  const Latest& series() const { return latest_; }
  const History& history() const { return history_; }
  const std::string& epoch() const { return epoch_; }

  /// Whether the client may see the records of a series at all.
  bool may_see(const Connection& connection, const Latest::Series& series) const;

  /// Whether they go to it as things stand.
  bool wants(const Connection& connection, const Latest::Series& series) const;

  /// Its clients that are ready; or those in any of these groups, each once.
  std::vector<const Connection*> present() const;
  std::vector<const Connection*> present(const std::vector<std::string>& groups) const;

  /// When to come again, if whoever asks has asked REST too often; counts the request.
  std::optional<std::chrono::seconds> limit_rest(const http::Request& request, const http::Identity& who) {
    return limited(rest_requests_, request, who);
  }

  const http::Access& access() const { return *access_; }
  const std::shared_ptr<http::Loop>& shared_loop() const { return loop_; }

 private:
  friend class Connection;
  using Item = Publication::Item;

  struct Grant {  ///< what a connection may do, and until when
    http::Identity identity;
    Clock::time_point ends = Clock::time_point::max();
    Shares::Held share = {};  ///< null: nobody who is limited
  };
  struct Pending {
    std::string id;
    Clock::time_point expires;
    bool resumable;
    Grant grant;
  };
  struct Group {
    std::vector<Connection*> members;
  };
  struct Shown {  ///< a record of this turn
    const Publication* publication;
    const Item* item;
    std::uint32_t place;
    Encoded record;

    const Channel& channel() const { return publication->channel(*item); }
    std::string_view group() const { return publication->group(*item); }
  };
  struct Declared {
    Method method;
    std::size_t uploads = 0;
    bool streams = false;
    http::Right right = http::Right::read;
  };
  using Names = std::unordered_set<std::string_view>;
  using UserGroups = std::vector<std::pair<std::string, Clock::time_point>>;  ///< and until when; the newest last
  class Frames;

  void negotiate(const http::Request& request, http::Exchange exchange);
  void connect(const http::Request& request, http::Exchange exchange);
  void connect_plain(const http::Request& request, http::Exchange exchange);
  bool admit(const http::Request& request, http::Exchange& exchange);
  std::optional<http::Identity> identify(const http::Request& request, http::Exchange& exchange,
                                         const http::Access::Credentials& credentials);
  std::optional<std::chrono::seconds> limited(http::RateLimit& limit, const http::Request& request, const http::Identity& who);
  bool belongs_to(const http::Request& request, http::Exchange& exchange, const http::Identity& owner, http::Expiry expiry);
  bool take_share(const http::Request& request, http::Exchange& exchange, Grant& grant);
  std::optional<Grant> grant_direct(const http::Request& request, http::Exchange& exchange);
  std::optional<Grant> grant_pending(const http::Request& request, http::Exchange& exchange, std::string& access_token);
  Clock::time_point steady(millrace::Time time) const;
  void give(Connection& connection, Grant grant);
  void rescope(Connection& connection);
  void leave_scope(Connection& connection);
  void withdraw(Connection& connection);
  void owe_groups(Connection& connection, const Names& names);
  void revoke_token(Connection& connection);
  void expire(Connection& connection);
  void connect_again(const http::Request& request, http::Exchange exchange, Connection& connection);
  void resume(const http::Request& request, http::Exchange exchange, Connection& connection);
  void receive(const http::Request& request, http::Exchange exchange);
  void remove(const http::Request& request, http::Exchange exchange);
  Connection* attached(const http::Request& request, http::Exchange& exchange);
  bool accept(const http::Request& request, http::Exchange exchange, const std::shared_ptr<Connection>& connection,
              Framing framing, Grant grant, const std::vector<std::string>& groups = {});
  std::shared_ptr<Connection> make_connection(std::string id, std::string token, const Protocol* protocol);
  void refuse(const http::Request& request, http::Exchange& exchange, int status, std::string_view text) const;

  void arrived();
  void turn();
  void take(const Publication& publication, std::vector<Shown>& telemetry, std::vector<Shown>& events);
  void number(std::vector<Shown>& telemetry, std::string& stamped);
  void act(const Directed& directed);
  void broadcast_telemetry(const std::vector<Shown>& shown);
  void broadcast_interesting(const std::vector<Shown>& shown);
  void broadcast_event(const Shown& shown);
  std::vector<Connection*> members(const Audience& audience) const;
  void flush_touched();
  void touch(Connection& connection);
  void owe_all(Connection& connection);
  void pay(Connection& connection);

  void activated(Connection& connection);
  void ended(Connection& connection);
  void forget_token(Connection& connection);
  void doom(Connection& connection);
  void bury();
  void dispatch(Connection& connection, Message message);
  void tick();
  void schedule_tick();
  void close_all();
  void leave(Connection& connection, const std::string& group);
  void count_end(End why);

  std::shared_ptr<http::Loop> loop_;
  std::shared_ptr<const http::Access> access_;
  HubOptions options_;
  http::Origins origins_;
  HubCounters counters_;
  std::shared_ptr<Handover> handover_;
  /// Whether the last turn was brief enough for the next to take place on the thread that publishes, which reads this.
  std::shared_ptr<std::atomic<bool>> brief_turns_ = std::make_shared<std::atomic<bool>>(true);
  std::atomic<bool> retired_ = false;

  Result<void> open_rest(http::Routes& routes);

  std::mutex routes_mutex_;
  std::vector<http::Route> routes_;

  std::unordered_map<std::string, Declared> methods_;  ///< by lower-case name
  std::function<void(std::string target, Call)> otherwise_;
  std::function<bool(const http::Request&)> allowed_;
  std::vector<http::Header> negotiate_headers_;
  std::function<void(Connection&, std::string_view)> raw_;
  std::function<void(Connection&, const http::Request&)> connected_;
  std::function<void(Connection&)> disconnected_;
  std::unordered_map<std::string, Pending> pending_;  ///< negotiated, by token
  std::vector<std::shared_ptr<Connection>> connections_;
  std::unordered_map<std::string, Connection*> attached_;  ///< by token
  std::unordered_map<std::string, Connection*, TextHash, std::equal_to<>> by_id_;
  std::unordered_map<std::string, std::vector<Connection*>, TextHash, std::equal_to<>> by_user_;
  std::unordered_map<std::string, UserGroups, TextHash, std::equal_to<>> user_groups_;
  std::map<std::vector<std::string>, Scope> scopes_;  ///< by their patterns
  std::unordered_map<std::string, Group, TextHash, std::equal_to<>> groups_;
  http::RateLimit negotiations_, rest_requests_;
  Shares shares_;
  Latest latest_;
  History history_;
  std::string epoch_;
  std::vector<Connection*> touched_;
  std::vector<std::shared_ptr<Connection>> doomed_;
  bool burial_posted_ = false;
  bool flush_posted_ = false;
  bool in_turn_ = false;  ///< behind which a flush follows
  std::size_t frame_limit_;
  Clock::time_point now_ = Clock::now();
  Joined joined_;
  std::vector<char> scratch_;
  Breath breath_;
  http::Timer tick_timer_;
  http::Timer flush_timer_;
};

}  // namespace millrace::signalr
