#include "plugins/signalr/attachment.h"

#include <fmt/core.h>

#include <algorithm>

namespace millrace::signalr {
namespace {

/// Lets go of a hub where its connections live.
void let_go(http::Loop& loop, std::shared_ptr<Hub> hub) {
  loop.post([hub = std::move(hub)]() mutable { hub.reset(); });
}

}  // namespace

Result<std::unique_ptr<Attachment>> Attachment::attach(http::Routes& routes, const HubOptions& options,
                                                       const std::string& pipeline, const std::string& stage,
                                                       const HubDirectory::Prepare& prepare) {
  auto loop = routes.loop();
  auto directory = routes.share<HubDirectory>("signalr", [] { return std::make_shared<HubDirectory>(); });
  std::lock_guard lock(directory->mutex);
  HubDirectory::Entry& entry = directory->entries[options.path];
  auto hub = entry.hub.lock();
  if (hub && hub->retired()) {
    let_go(*loop, std::move(hub));
    hub = nullptr;
    entry = {};
  }
  if (hub && entry.pipeline != pipeline) {
    auto taken =
        invalid(fmt::format("the hub '{}' belongs to the pipeline '{}', which shares this listener: give one of the two "
                            "another `hub`, or pipelines different `listen` addresses",
                            options.path, entry.pipeline));
    let_go(*loop, std::move(hub));
    return taken;
  }
  if (hub && hub->options() != options) {
    bool only_ours = std::all_of(entry.stages.begin(), entry.stages.end(), [&](const auto& one) { return one == stage; });
    if (only_ours) hub->retire();
    let_go(*loop, std::move(hub));
    hub = nullptr;
    if (!only_ours)
      return invalid(
          fmt::format("the stages '{}' and '{}' share the hub '{}' but not its options: give both the same, or another `hub`",
                      entry.stages.front(), stage, options.path));
    entry = {};
  }
  if (!hub) {
    hub = std::make_shared<Hub>(loop, options);
    prepare(*hub);
    if (auto opened = hub->open(routes); !opened) return opened.error();
    entry = {.hub = hub, .pipeline = pipeline};
  }
  entry.stages.push_back(stage);
  return std::unique_ptr<Attachment>(new Attachment(loop, directory, std::move(hub), stage));
}

Attachment::~Attachment() {
  {
    std::lock_guard lock(directory_->mutex);
    auto found = directory_->entries.find(hub_->options().path);
    bool listed = found != directory_->entries.end() && found->second.hub.lock() == hub_;
    if (listed) {
      auto& stages = found->second.stages;
      if (auto ours = std::find(stages.begin(), stages.end(), stage_); ours != stages.end()) stages.erase(ours);
      if (stages.empty()) {
        directory_->entries.erase(found);
        hub_->retire();
      }
    }
  }
  let_go(*loop_, std::move(hub_));
}

}  // namespace millrace::signalr
