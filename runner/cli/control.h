#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runner/stage/error.h"

namespace millrace::cli {

// What a running instance is asked through control.sock in its data folder, mode 0600: one JSON object a line, answered by one
// JSON object a line, `{"ok": true, ...}` or `{"ok": false, "error": TEXT}`. Requests are
//   {"command": "ack", "pipeline", "stage", "rule", "key", "incident", "by", "comment"} -> {"alerts": [...]}
//   {"command": "comment", the same} -> {}
//   {"command": "silence", "pipeline", "stage", "rule", "key", "labels", "id", "from", "to", "by", "comment"}, and
//   {"command": "unsilence", "pipeline", "stage", "rule", "key", "labels", "id", "by"}, both -> {"silences": [...]}
// Pipeline and stage of a silence may be left out, which means all. What is in the lists is as docs/reference/alerts.md has it.

/// Answers requests for as long as it lives, on a thread of its own, one at a time.
class ControlServer {
 public:
  /// Takes a request's line and returns the answer's, both without the line feed. On the server's thread; may wait.
  using Handler = std::function<std::string(std::string_view request)>;

  /// `socket` is replaced if a former instance left it: the caller holds the data folder's lock.
  static Result<std::unique_ptr<ControlServer>> serve(const std::filesystem::path& socket, Handler handler);

  /// Stops after the request in hand and removes the socket.
  ~ControlServer();
  ControlServer(const ControlServer&) = delete;
  ControlServer& operator=(const ControlServer&) = delete;

 private:
  struct Impl;
  explicit ControlServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Asks the instance that serves `socket` and returns its answer; ErrorKind::unavailable if none does or it stays silent.
Result<std::string> ask_instance(const std::filesystem::path& socket, std::string_view request,
                                 std::chrono::milliseconds deadline = std::chrono::seconds(10));

}  // namespace millrace::cli
