#pragma once

#include <string>

#include "runner/store/history.h"

// Rows as the stages of a small pipeline write them.
namespace millrace::store::test_rows {

inline Commit of_stage() {
  Commit commit;
  commit.pipeline = "house";
  commit.stage = "climate";
  commit.wall_ms = 6000;
  return commit;
}

inline Event event(const std::string& key, std::uint64_t opening, std::uint64_t ordinal, std::string from, std::string to,
                   std::string reason, std::int64_t ms) {
  Event e;
  e.incident_id = incident_id(dedup_key("house", "climate", "hot", key), opening);
  e.ordinal = ordinal;
  e.rule = "hot";
  e.key = key;
  e.from_state = std::move(from);
  e.to_state = std::move(to);
  e.level_to = "warning";
  e.reason = std::move(reason);
  e.opens = e.to_state == "FIRING" && (e.from_state == "OK" || e.from_state == "PENDING");
  e.event_ms = ms;
  e.wall_ms = ms + 3;
  e.value = 31.5;
  e.threshold = 30;
  e.message = key + " is hot";
  return e;
}

inline State state(const std::string& key, std::uint64_t opening, std::uint64_t events, std::string name) {
  State s;
  s.rule = "hot";
  s.key = key;
  s.state = std::move(name);
  s.level = "warning";
  s.opening = opening;
  s.events = events;
  s.last_eval_ms = 5000;
  if (s.state != "OK") s.incident_id = incident_id(dedup_key("house", "climate", "hot", key), opening);
  return s;
}

/// The key's alert begins to fire, and the stage `phone` is to tell people.
inline Commit opening(const std::string& key, std::uint64_t number, std::int64_t ms = 5000) {
  Commit commit = of_stage();
  commit.events.push_back(event(key, number, (number * 2) - 1, "OK", "FIRING", "condition", ms));
  commit.states.push_back(state(key, number, (number * 2) - 1, "FIRING"));
  Notification n;
  n.incident_id = commit.events[0].incident_id;
  n.link = "phone";
  n.id = n.incident_id + "/firing/phone";
  n.event_ordinal = commit.events[0].ordinal;
  n.rule = "hot";
  n.key = key;
  n.type = "firing";
  n.created_ms = ms;
  n.body = R"({"message":"hot"})";
  commit.notifications.push_back(n);
  return commit;
}

/// It stops.
inline Commit closing(const std::string& key, std::uint64_t number, std::int64_t ms) {
  Commit commit = of_stage();
  commit.events.push_back(event(key, number, number * 2, "FIRING", "OK", "resolved", ms));
  commit.states.push_back(state(key, number, number * 2, "OK"));
  return commit;
}

/// The stage `phone` takes the opening's notification over, for one target.
inline Commit delivery_of_opening(const std::string& key, std::uint64_t number) {
  Commit commit = of_stage();
  commit.stage = "phone";
  Delivery d;
  d.notification_id = incident_id(dedup_key("house", "climate", "hot", key), number) + "/firing/phone";
  d.id = d.notification_id + "/0";
  d.target = "ntfy://127.0.0.1/***";
  d.body = "hot in " + key;
  d.created_ms = d.next_try_ms = 6000;
  commit.deliveries.push_back(d);
  commit.settled_notifications.push_back(d.notification_id);
  return commit;
}

}  // namespace millrace::store::test_rows
