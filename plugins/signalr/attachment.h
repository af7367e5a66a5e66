#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "plugins/signalr/hub.h"
#include "runner/http/routes.h"

namespace millrace::signalr {

/// Which hubs there are on a listener and which stages publish to each. Any thread.
class HubDirectory {
 public:
  using Prepare = std::function<void(Hub&)>;

  struct Entry {
    std::weak_ptr<Hub> hub;
    std::string pipeline;
    std::vector<std::string> stages;
  };

  std::mutex mutex;
  std::map<std::string, Entry> entries;  ///< by path
};

/// A stage's hold on a hub. Stages of one pipeline that name the same path share the hub; they must agree on its options. A
/// stage that comes with other options after a reload replaces the hub that only it has used. The last to let go retires the
/// hub.
class Attachment {
 public:
  /// `prepare` registers methods on a hub that is made. `invalid` if the path is taken or the options differ.
  static Result<std::unique_ptr<Attachment>> attach(http::Routes& routes, const HubOptions& options,
                                                    const std::string& pipeline, const std::string& stage,
                                                    const HubDirectory::Prepare& prepare);
  ~Attachment();
  Attachment(const Attachment&) = delete;
  Attachment& operator=(const Attachment&) = delete;

  Hub& hub() { return *hub_; }

 private:
  Attachment(std::shared_ptr<http::Loop> loop, std::shared_ptr<HubDirectory> directory, std::shared_ptr<Hub> hub,
             std::string stage)
      : loop_(std::move(loop)), directory_(std::move(directory)), hub_(std::move(hub)), stage_(std::move(stage)) {}

  std::shared_ptr<http::Loop> loop_;
  std::shared_ptr<HubDirectory> directory_;
  std::shared_ptr<Hub> hub_;
  std::string stage_;
};

}  // namespace millrace::signalr
