#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/stage/silence_match.h"

namespace millrace::store {

// The rows of history.db as stages write and read them; docs/reference/history.md tells the same to whoever reads the file with
// sqlite3. All times are whole milliseconds since the epoch, UTC. Texts ending in `_json` hold JSON or are empty.

/// `pipeline/stage/rule/key`: what is one alert to people and to receivers that deduplicate.
std::string dedup_key(std::string_view pipeline, std::string_view stage, std::string_view rule, std::string_view key);

/// `<dedup key>#<opening>`: one incident. `opening` counts this key's incidents from 1 and is kept in its State, so that a
/// replay after a crash gives the same ids.
std::string incident_id(std::string_view dedup_key, std::uint64_t opening);

/// Row of `alert_event`, append-only: a transition, or an ack, silence or suppression. The pair (incident_id, ordinal) is
/// unique: writing it again changes nothing.
struct Event {
  std::string incident_id;    ///< never empty; before an opening (PENDING, cancelled) the id that the opening would get
  std::uint64_t ordinal = 0;  ///< counts this rule and key's events, from 1; kept in State::events
  std::string rule, rule_hash, key;
  std::string from_state, to_state;  ///< OK, PENDING, FIRING, RECOVERING, LATCHED
  std::string level_from, level_to;
  std::string reason;
  bool opens = false;  ///< this event opens its incident: `alerts list` shows one line for each such row
  std::int64_t event_ms = 0;
  std::int64_t wall_ms = 0;
  std::optional<double> value, threshold;
  std::string window_kind;
  std::optional<std::int64_t> window_start_ms, window_end_ms, samples;
  std::string aggregates_json, labels_json, message, actor, comment, suppressed_by;
  std::string run_id;  ///< empty: of the run that writes it

  std::string pipeline, stage;  ///< filled from the Commit
  std::int64_t seq = 0;         ///< given by the store; rises with commit order
};

/// Row of `alert_state`: one alert as it stands, keyed by pipeline, stage, rule and key. Written whole each time.
struct State {
  std::string rule, key;
  std::string rule_hash;
  std::string state = "OK";
  std::string level;          ///< of the condition; empty or `ok` when it does not hold
  std::string since_json;     ///< per level, since when its condition holds
  std::string incident_id;    ///< of the open incident, or empty
  std::uint64_t opening = 0;  ///< how many incidents this key has had
  std::uint64_t events = 0;   ///< ordinal of its last event
  std::optional<std::int64_t> lower_since_ms, last_eval_ms, last_seen_ms, acked_ms, last_notified_ms;
  std::string acked_by;
  std::string owed;        ///< type of the notification that a silence holds back, or empty
  std::string flaps_json;  ///< recent openings
  std::string extra;       ///< whatever else the stage keeps: any bytes

  std::string pipeline, stage;  ///< filled from the Commit
};

/// Names one State.
struct StateKey {
  std::string rule, key;
};

/// Row of `notification`, the outbox: people are to be told; addressed to one outgoing link, emitted again at every start until
/// settled. `id` derives from the data (incident, what, how often, link); a second row of the same id is ignored.
struct Notification {
  std::string id;
  std::string link;  ///< id of the push stage that it goes to
  std::string incident_id;
  std::uint64_t event_ordinal = 0;  ///< the Event that caused it (same incident), or 0, as for a repeat
  std::string rule, key, level;
  std::string type;  ///< firing, escalated, deescalated, repeat, resolved, flapping, flapping_ended
  bool quiet = false;
  std::int64_t created_ms = 0;
  std::string body;  ///< the record to emit, as its stage wrote it

  std::string pipeline, stage;             ///< filled from the Commit
  std::optional<std::int64_t> settled_ms;  ///< when its push stage had taken it over
};

enum class DeliveryStatus {
  pending,    ///< to be tried at next_try_ms
  delivered,  ///< the receiver has accepted it
  dead,       ///< given up; `error` says why
};

/// Row of `push_delivery`: one notification for one target. `id` derives from (notification, stage, target); writing it again
/// changes nothing.
struct Delivery {
  std::string id;
  std::string notification_id;
  std::string target;    ///< for display: never a secret
  int target_index = 0;  ///< place in the stage's list of targets
  std::string body;      ///< what the stage needs to send it after a restart
  std::int64_t created_ms = 0;
  std::int64_t next_try_ms = 0;
  std::uint32_t attempts = 0;
  std::optional<std::int64_t> delivered_ms;
  std::string error;  ///< of the last attempt
  DeliveryStatus status = DeliveryStatus::pending;

  std::string pipeline, stage;  ///< filled from the Commit
};

/// What an attempt came to; changes the Delivery of that id.
struct DeliveryUpdate {
  std::string id;
  std::uint32_t attempts = 0;
  std::int64_t next_try_ms = 0;
  std::optional<std::int64_t> delivered_ms;
  std::string error;
  DeliveryStatus status = DeliveryStatus::pending;
};

/// Row of `dead_letter`: a record that its stage could not handle.
struct DeadLetter {
  std::string pipeline, stage;
  std::int64_t wall_ms = 0;
  std::string device;
  std::string record_json;
  std::string error;

  std::int64_t id = 0;  ///< given by the store
};

/// Row of `stage_snapshot`: opaque bytes that a stage keeps under a name of its own (windows, watermarks). Replaces the former
/// one; nullopt removes it.
struct Snapshot {
  std::string name;
  std::optional<std::string> data;
};

/// Row of `silence`: for a while people are told nothing of the stage's alerts that it matches. Writing it again under the same
/// id replaces it.
struct Silence {
  std::string id;         ///< names it among the stage's
  std::string rule, key;  ///< patterns of matches_glob(); empty: any
  AlertLabels labels;     ///< patterns for labels, all of which must match
  bool once = false;      ///< ends when no alert that it mutes is open any more
  std::int64_t from_ms = 0, to_ms = 0;
  std::string author, comment;
  std::int64_t created_ms = 0;
  std::optional<std::int64_t> ended_ms;  ///< when somebody ended it before its time, or its alert did

  std::string pipeline, stage;  ///< filled from the Commit
};

/// What one stage wants written: all of it or nothing, in one transaction. Repeating a commit after a crash changes nothing
/// twice, as every row is keyed by ids that derive from the data.
struct Commit {
  std::string pipeline, stage;
  std::vector<Event> events;
  std::vector<State> states;
  std::vector<StateKey> removed_states;  ///< removed after `states` are written
  std::vector<Notification> notifications;
  std::vector<std::string> settled_notifications;  ///< ids, of any stage
  std::vector<Delivery> deliveries;
  std::vector<DeliveryUpdate> delivery_updates;
  std::vector<Snapshot> snapshots;
  std::vector<Silence> silences;
  std::int64_t wall_ms = 0;  ///< when: dates settled notifications and snapshots

  bool empty() const {
    return events.empty() && states.empty() && removed_states.empty() && notifications.empty() &&
           settled_notifications.empty() && deliveries.empty() && delivery_updates.empty() && snapshots.empty() &&
           silences.empty();
  }
};

/// The level that an event is about: the one that the alert has then, or of its end the one that it had.
const std::string& level_of(const Event& event);

/// One incident as `alerts list` shows it: its opening and where it stands.
struct Incident {
  Event opening;
  Event last;
  std::string level;     ///< the one that it has; once it has ended, the one that it ended with
  std::string acked_by;  ///< empty if nobody has acknowledged it
};

/// Which events, or incidents by their opening.
struct EventFilter {
  std::string pipeline, stage, rule, key;  ///< empty: any
  std::optional<std::int64_t> since_ms;    ///< at or after, by event time
  std::optional<std::int64_t> until_ms;    ///< before
};

/// Which incidents to list, newest opening first.
struct IncidentFilter : EventFilter {
  std::string state;  ///< of its last event; `open`: any but OK; empty: any
  std::size_t limit = 50;
  std::optional<std::int64_t> before_event_ms, before_seq;  ///< next page: event_ms and seq of the last opening seen
};

/// Which silences to list.
struct SilenceFilter {
  std::string pipeline, stage;             ///< empty: any
  std::optional<std::int64_t> holding_ms;  ///< only those that hold at this time or later
};

/// Who was told of an incident, on which channel and when.
struct Told {
  Notification notification;
  std::vector<Delivery> deliveries;
};

std::string_view name_of(DeliveryStatus status);

}  // namespace millrace::store
