#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <vector>

#include "runner/api/alert_actions.h"
#include "runner/http/routes.h"

namespace millrace::api {

/// Alerts and silences over REST, as docs/reference/alerts.md tells: /api/alerts and /api/silences of every listener. Reads the
/// history and asks the stages on a thread of its own, so that no listener waits for a disk. Who reads needs the right `read`,
/// who changes something `ack`.
class AlertRest {
 public:
  struct Options {
    std::filesystem::path data_folder;         ///< whose history.db is read
    std::size_t queue = 64;                    ///< requests that may wait; further ones get 503
    std::chrono::milliseconds patience{5000};  ///< with the stages that are asked; then 504
  };

  /// `actions` and `clock` must live until close() or the end of this.
  AlertRest(AlertActions& actions, const Clock& clock, Options options);

  /// close(), if it was not called.
  ~AlertRest();
  AlertRest(const AlertRest&) = delete;
  AlertRest& operator=(const AlertRest&) = delete;

  /// Claims the paths of one listener, for as long as what is returned lives. Any thread.
  std::vector<http::Route> serve(http::Routes& routes);

  /// Waits for the request in hand; those that come or wait are answered 503.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace millrace::api
