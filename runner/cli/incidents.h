#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/stage/record.h"
#include "runner/stage/time.h"

namespace millrace::cli {

/// One alert of a replay, from its opening to its end.
struct ReplayedIncident {
  std::string stage, rule, key;
  Time opened{};
  std::optional<Time> ended;
  std::vector<std::string> levels;  ///< in the order reached
  std::size_t told = 0;             ///< notifications, each counted once however many stages tell it on

  bool alike(const ReplayedIncident& other) const {
    return opened == other.opened && ended == other.ended && levels == other.levels && told == other.told;
  }
};

/// Collects the alerts of a run from what its stages emit.
class ReplayedIncidents {
 public:
  void see(const std::string& stage, const Batch& batch);

  /// In order of opening.
  std::vector<ReplayedIncident> list() const;

 private:
  std::map<std::string, std::size_t> places_;  ///< by stage and incident
  std::map<std::string, std::string> told_;    ///< the last notification of each, so that copies for several stages are one
  std::vector<ReplayedIncident> incidents_;
};

/// What two versions of a pipeline make of the same input.
struct IncidentDifference {
  std::size_t same = 0;
  std::vector<ReplayedIncident> only_first, only_second;
  std::vector<std::pair<ReplayedIncident, ReplayedIncident>> changed;  ///< of one rule and key, at the same time
};

/// Alerts of the same rule and key belong together if they open at the same time, else if they overlap.
IncidentDifference compare(std::vector<ReplayedIncident> first, std::vector<ReplayedIncident> second);

}  // namespace millrace::cli
