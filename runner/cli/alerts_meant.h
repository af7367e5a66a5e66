#pragma once

#include <string>
#include <vector>

#include "runner/store/history_reader.h"

namespace millrace::cli {

/// The incidents that a person means by `name`, an incident, a dedup key or a key: all that are open, or else the latest.
Result<std::vector<store::Incident>> meant(store::HistoryReader& reader, const std::string& name);

}  // namespace millrace::cli
