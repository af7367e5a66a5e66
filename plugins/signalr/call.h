#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "plugins/signalr/encoded.h"

namespace millrace::signalr {

class Connection;

/// One invocation of a hub method by a client: its arguments, and the duty to answer once, at once or later. A client that
/// asked for no answer gets none, not even an error. Let go of unanswered it answers with nothing, as a method without result
/// does. Belongs to the loop's thread.
class Call {
 public:
  Call(std::weak_ptr<Connection> caller, std::optional<std::string> id, nlohmann::json with)
      : arguments(std::move(with)), caller_(std::move(caller)), id_(std::move(id)) {}
  Call(Call&& other) noexcept;
  Call& operator=(Call&&) = delete;
  ~Call();

  void result(const nlohmann::json& value);

  /// A result that is a list of values encoded already.
  void result_list(std::span<const Encoded> items);

  /// For the client's eyes.
  void fail(std::string_view error);

  /// The caller, or null once it has gone.
  std::shared_ptr<Connection> caller() const { return caller_.lock(); }

  nlohmann::json arguments;  ///< a list

 private:
  std::shared_ptr<Connection> to_answer();

  std::weak_ptr<Connection> caller_;
  std::optional<std::string> id_;
  bool answered_ = false;
};

/// A hub method. Runs on the loop's thread and must not wait.
using Method = std::function<void(Call)>;

}  // namespace millrace::signalr
