#include "runner/supervise/unread.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace millrace::supervise {
namespace {

namespace fs = std::filesystem;
using Pipelines = std::vector<const graph::Pipeline*>;

std::vector<fs::path> folders_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error))
    if (entry->is_directory(error)) found.push_back(entry->path());
  std::sort(found.begin(), found.end());
  return found;
}

bool is_inbox_of(const std::string& name, const Pipelines& pipelines) {
  return std::any_of(pipelines.begin(), pipelines.end(), [&](const graph::Pipeline* pipeline) {
    return std::any_of(pipeline->stages.begin(), pipeline->stages.end(),
                       [&](const graph::Stage& stage) { return name == pipeline->name + "." + stage.id; });
  });
}

bool is_spool_of(const std::string& pipeline_name, const std::string& link, const Pipelines& pipelines) {
  const std::string reader = link.substr(std::min(link.find('+'), link.size() - 1) + 1);
  return std::any_of(pipelines.begin(), pipelines.end(), [&](const graph::Pipeline* pipeline) {
    return pipeline->name == pipeline_name &&
           std::any_of(pipeline->stages.begin(), pipeline->stages.end(),
                       [&](const graph::Stage& stage) { return stage.id == reader && !stage.from.empty(); });
  });
}

}  // namespace

std::string UnreadLog::text() const {
  return fmt::format(
      "{}: {} {} wait for a stage that is gone or has another name (the folder is called after its pipeline and itself): "
      "give it back and they are read, or remove the folder",
      folder.string(), waiting, what);
}

std::vector<UnreadLog> unread_logs(const fs::path& data_folder, const Pipelines& pipelines, store::Inboxes& inboxes) {
  std::vector<UnreadLog> found;
  auto look_at = [&](const fs::path& folder, const char* what) {
    if (inboxes.is_open(folder)) return;
    auto lease = inboxes.lease(folder, {});
    if (!lease) return;
    if (std::uint64_t waiting = lease->inbox()->unsettled(); waiting > 0) found.push_back({folder, what, waiting});
  };
  for (const fs::path& folder : folders_in(data_folder / "inbox"))
    if (!is_inbox_of(folder.filename().string(), pipelines)) look_at(folder, "messages");
  for (const fs::path& of_pipeline : folders_in(data_folder / "spool"))
    for (const fs::path& folder : folders_in(of_pipeline))
      if (!is_spool_of(of_pipeline.filename().string(), folder.filename().string(), pipelines)) look_at(folder, "batches");
  return found;
}

}  // namespace millrace::supervise
