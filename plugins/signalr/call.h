#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "plugins/signalr/encoded.h"
#include "plugins/signalr/protocol.h"
#include "plugins/signalr/streams.h"

namespace millrace::signalr {

class Connection;

/// One invocation of a hub method by a client: its arguments, and the duty to answer once, at once or later. A client that
/// asked for no answer gets none, not even an error. Let go of unanswered it answers with nothing, as a method without result
/// does, and a stream that has ended. Belongs to the loop's thread.
class Call {
 public:
  Call(std::weak_ptr<Connection> caller, Message message);
  Call(Call&& other) noexcept;
  Call& operator=(Call&&) = delete;
  ~Call();

  void result(const nlohmann::json& value);

  /// A result that is a list of values encoded already.
  void result_list(std::span<const Encoded> items);

  /// For the client's eyes.
  void fail(std::string_view error);

  /// Of a streaming method: sends one item. False if the client wants no more, or has gone; the rest need not be made. Items
  /// wait in the client's queue, and one that does not fit ends the connection: who has many waits with when_drained().
  bool item(const nlohmann::json& value);
  bool item(Encoded value);

  /// Of a streaming method: calls `then` once if the client cancels the stream or goes. The stream has been completed then.
  void when_cancelled(std::function<void()> then);

  /// Calls `then` once, when the client has been sent everything that waits for it; never if it goes first.
  void when_drained(std::function<void()> then);

  /// Of a method that takes streams: reads the client's stream at `index`.
  void receive(std::size_t index, Upload upload);

  /// The caller, or null once it has gone.
  std::shared_ptr<Connection> caller() const { return caller_.lock(); }

  /// The client's name for it; nothing if it wants no answer.
  const std::optional<std::string>& id() const { return id_; }

  nlohmann::json arguments;  ///< a list

 private:
  friend class Hub;
  std::shared_ptr<Connection> to_answer();
  template <class Item>
  bool send_item(const Item& value);

  std::weak_ptr<Connection> caller_;
  std::optional<std::string> id_;
  std::vector<std::string> streams_;
  std::shared_ptr<Cancellation> cancellation_;  ///< of a stream to the client
  bool answered_ = false;
};

/// A hub method. Runs on the loop's thread and must not wait.
using Method = std::function<void(Call)>;

}  // namespace millrace::signalr
