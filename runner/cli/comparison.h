#pragma once

#include <string>
#include <vector>

#include "runner/cli/incidents.h"

namespace millrace::cli {

/// Alerts for people, a line each, and how many.
std::string text_of(const std::vector<ReplayedIncident>& incidents);

/// For people: `-` what only the first version raises, `+` what only the second does, `~` what both do differently; then how
/// many. The names are those of the two files.
std::string text_of(const IncidentDifference& difference, const std::string& first, const std::string& second);

/// For machines: `{"first","second","same","only_first":[...],"only_second":[...],"changed":[{"first","second"}]}`, an alert
/// being
/// `{"stage","rule","key","opened","ended","levels","told"}`, times in milliseconds since the epoch.
std::string json_of(const IncidentDifference& difference, const std::string& first, const std::string& second);

}  // namespace millrace::cli
