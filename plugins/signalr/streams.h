#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::signalr {

/// What a client's stream is read with. `end` follows the last item, with the client's error or, if it went away, with ours.
struct Upload {
  std::function<void(nlohmann::json item)> item;
  std::function<void(std::optional<std::string> error)> end;
};

/// What a method of a client has returned, or why it has not.
struct ClientResult {
  nlohmann::json value;
  std::optional<std::string> error;
};

/// Whether a stream to a client is still wanted.
struct Cancellation {
  bool requested = false;
  std::function<void()> then;  ///< called once when it no longer is

  void request();
};

/// What goes on between a hub and one client beside plain calls: streams both ways, and calls of the client that it has not
/// answered. Belongs to the loop's thread. Whatever it calls may start or end others.
class Streams {
 public:
  static constexpr std::size_t most = 100;  ///< of each sort at a time

  /// A stream to the client begins; null if the id is in use, or there are too many.
  std::shared_ptr<Cancellation> begin(const std::string& id);

  /// It has been completed.
  void end(const std::string& id) { downloads_.erase(id); }

  /// The client wants no more of it; false if there is no such stream.
  bool cancel(const std::string& id);

  /// Reads the client's stream `id`; false if there are too many.
  bool receive(const std::string& id, Upload upload);

  void item(const std::string& id, nlohmann::json item);

  /// The client completes one of its streams, or answers a call; other ids are nobody's.
  void complete(const std::string& id, nlohmann::json value, std::optional<std::string> error);

  /// Expects the client's answer to a call, and returns the id to call with; nothing if too many are expected.
  std::optional<std::string> expect(std::function<void(ClientResult)> answered);

  /// Calls `drained` once, when the client has been sent everything.
  void when_drained(std::function<void()> drained) { waiting_.push_back(std::move(drained)); }
  void drained();

  /// The client has gone: all of it ends.
  void abandon();

 private:
  std::map<std::string, std::shared_ptr<Cancellation>> downloads_;
  std::map<std::string, std::shared_ptr<Upload>> uploads_;
  std::map<std::string, std::function<void(ClientResult)>> expected_;
  std::vector<std::function<void()>> waiting_;
  std::uint64_t calls_ = 0;
};

}  // namespace millrace::signalr
