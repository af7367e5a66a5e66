#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "runner/mqtt/broker.h"
#include "runner/stage/error.h"

namespace millrace::mqtt {

/// A message as it arrives. The views hold during the call.
struct Message {
  std::string_view topic;
  std::string_view payload;
  int qos = 0;
  bool retained = false;
};

/// One connection to a broker, from connect to its end; for the next attempt make a new one. A thin skin over Paho's
/// async_client that waits, so it is for a thread that may: all calls come from one thread. Waiting ends at once when the
/// stop_token says so, at the Broker's connect_timeout, or when the connection is lost.
class Connection {
 public:
  struct Handlers {
    /// On the library's receive thread, of which the process has one, with the library's one lock held: must not wait, nor call
    /// the library. The library acknowledges a QoS 1 message when this has returned. Null: messages are not wanted.
    std::function<void(const Message&)> message;
    /// The connection broke. On a thread of the library's, as the next.
    std::function<void()> lost;
    /// under_way() has become 0.
    std::function<void()> all_delivered;
  };

  /// `address` is Paho's. No I/O yet.
  Connection(Broker broker, bool clean_session, Handlers handlers);

  /// Takes leave of the broker, if it is connected, and waits a second for that at most.
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Connects. The error names the broker and why: refused credentials, a certificate, nobody there.
  Result<void> open(const std::stop_token& stop);

  /// Subscribes to all topics and waits until the broker has granted each.
  Result<void> subscribe(const std::vector<std::string>& topics, int qos, const std::stop_token& stop);

  /// Whether the connection broke. Any thread.
  bool lost() const;

  /// Hands a message to the library, which sends it; waits while `window` messages are under way.
  Result<void> publish(const std::string& topic, std::string_view payload, int qos, bool retain, std::size_t window,
                       const std::stop_token& stop);

  /// How many published messages are not yet delivered: QoS 0 written to the connection, QoS 1 and 2 acknowledged. A broker
  /// acknowledges in the order of publishing (MQTT 3.1.1 section 4.6), so it is the latest ones. Any thread.
  std::size_t under_way() const;

  /// Waits until everything published is delivered.
  Result<void> drain(const std::stop_token& stop);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::mqtt
