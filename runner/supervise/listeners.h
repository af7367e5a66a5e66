#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/http/files.h"
#include "runner/http/listener.h"

namespace millrace::supervise {

/// The listeners of a process, by address: pipelines that name the same address share one. Each serves what every listener
/// does: health, readiness, metrics, sessions, the page. All calls come from the supervisor's thread, but all().
class Listeners {
 public:
  struct Options {
    std::filesystem::path data_folder;       ///< of the token keys, where a pipeline names none
    std::optional<std::string> listen;       ///< overrides every pipeline's address
    std::span<const http::StaticFile> page;  ///< served at /
    std::function<void(LogLevel, std::string_view)> log;
    std::function<std::vector<http::Route>(http::Routes&)> further_routes;  ///< may be null
    std::function<void(std::string_view address)> on_page;                  ///< a listener serves the page here; may be null
    std::function<http::Readiness()> readiness;                             ///< on a listener's thread, as the next
    std::function<std::string()> metrics;
  };

  /// A listener with what it serves, as long as somebody uses it.
  struct Listening {
    std::unique_ptr<http::Listener> listener;
    std::vector<http::Route> routes;
    std::size_t users = 0;
  };

  explicit Listeners(Options options) : options_(std::move(options)) {}

  /// The listener for these settings, begun if there is none yet; to be released once for each time. ErrorKind::invalid if
  /// another pipeline has the address with other settings.
  Result<Listening*> acquire(const graph::Listen& listen);
  void release(Listening*& listening);

  /// Whether `listening` is the listener for these settings' address.
  bool at(const Listening* listening, const graph::Listen& listen);

  /// Takes up certificates whose files have changed.
  void renew_certificates();

  /// Calls `look` with all there are, none of which ends meanwhile. Any thread.
  void all(const std::function<void(const std::vector<const http::Listener*>&)>& look) const;

 private:
  Result<http::ListenOptions> options_of(const graph::Listen& listen);
  std::shared_ptr<http::TokenKeys> token_keys(const graph::Listen& listen);
  void add_routes(Listening& listening);

  const Options options_;
  std::map<std::filesystem::path, std::shared_ptr<http::TokenKeys>> token_keys_;
  mutable std::mutex mutex_;  ///< of the map's shape, for all()
  std::map<std::string, std::unique_ptr<Listening>> listeners_;
};

}  // namespace millrace::supervise
