#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "runner/api/alert_actions.h"
#include "runner/store/history.h"

namespace millrace::api {

// Alerts as programs see them, on the command line and over REST: docs/reference/alerts.md. All times are whole milliseconds
// since the epoch; a member that does not apply is left out.

using Json = nlohmann::ordered_json;

/// As in a list: its opening and where it stands.
Json json_of(const store::Incident& incident);

/// One row of its timeline.
Json json_of(const store::Event& event);

/// One notification, and what became of it for each target.
Json json_of(const store::Told& told);

/// `state` is pending, active or ended at `now_ms`.
Json json_of(const store::Silence& silence, std::int64_t now_ms);
Json json_of(const KeptSilence& silence);

Json json_of(const Acknowledged& acknowledged);

/// The incident with its timeline, who was told, and the silences that held over it.
Json whole_json(const store::Incident& incident, const std::vector<store::Event>& timeline,
                const std::vector<store::Told>& told, const std::vector<store::Silence>& silences, std::int64_t now_ms);

}  // namespace millrace::api
