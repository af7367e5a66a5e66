#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "runner/graph/pipeline.h"
#include "runner/store/inbox_lease.h"

namespace millrace::supervise {

/// An inbox or a spool of a data folder that no stage reads: its stage, or its pipeline, has another name now or is gone.
struct UnreadLog {
  std::filesystem::path folder;
  std::string what;           ///< "messages" or "batches"
  std::uint64_t waiting = 0;  ///< how many, above 0

  std::string text() const;  ///< for a person
};

/// Looks at the logs of a data folder that none of `pipelines`, which are all that there are, would read and that are not open
/// here. Blocks on the disk: for each of them its last segment is read.
std::vector<UnreadLog> unread_logs(const std::filesystem::path& data_folder,
                                   const std::vector<const graph::Pipeline*>& pipelines, store::Inboxes& inboxes);

}  // namespace millrace::supervise
