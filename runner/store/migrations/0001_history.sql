-- What docs/reference/history.md documents. Times are whole milliseconds since the epoch, UTC.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value ANY
) STRICT, WITHOUT ROWID;

CREATE TABLE alert_event (
  seq             INTEGER PRIMARY KEY,
  incident_id     TEXT NOT NULL,
  ordinal         INTEGER NOT NULL,
  dedup_key       TEXT NOT NULL,
  pipeline        TEXT NOT NULL,
  stage           TEXT NOT NULL,
  rule            TEXT NOT NULL,
  rule_hash       TEXT,
  key             TEXT NOT NULL,
  from_state      TEXT NOT NULL,
  to_state        TEXT NOT NULL,
  level_from      TEXT,
  level_to        TEXT,
  reason          TEXT NOT NULL,
  opens           INTEGER NOT NULL,
  event_ms        INTEGER NOT NULL,
  wall_ms         INTEGER NOT NULL,
  value           REAL,
  threshold       REAL,
  window_kind     TEXT,
  window_start_ms INTEGER,
  window_end_ms   INTEGER,
  samples         INTEGER,
  aggregates_json TEXT,
  labels_json     TEXT,
  message         TEXT,
  actor           TEXT,
  comment         TEXT,
  suppressed_by   TEXT,
  run_id          TEXT
) STRICT;

-- Makes a repeated event vanish, and finds an incident's timeline.
CREATE UNIQUE INDEX alert_event_incident ON alert_event (incident_id, ordinal);
-- Openings alone, newest first: the lists that people page through.
CREATE INDEX alert_event_opened ON alert_event (event_ms) WHERE opens;
CREATE INDEX alert_event_opened_by_rule ON alert_event (rule, event_ms) WHERE opens;
CREATE INDEX alert_event_opened_by_key ON alert_event (key, event_ms) WHERE opens;

CREATE TABLE alert_state (
  pipeline         TEXT NOT NULL,
  stage            TEXT NOT NULL,
  rule             TEXT NOT NULL,
  key              TEXT NOT NULL,
  rule_hash        TEXT,
  state            TEXT NOT NULL,
  level            TEXT,
  since_json       TEXT,
  incident_id      TEXT,
  opening          INTEGER NOT NULL,
  events           INTEGER NOT NULL,
  lower_since_ms   INTEGER,
  last_eval_ms     INTEGER,
  last_seen_ms     INTEGER,
  acked_by         TEXT,
  acked_ms         INTEGER,
  last_notified_ms INTEGER,
  owed             TEXT,
  flaps_json       TEXT,
  extra            BLOB,
  PRIMARY KEY (pipeline, stage, rule, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE notification (
  seq         INTEGER PRIMARY KEY,
  id          TEXT NOT NULL UNIQUE,
  pipeline    TEXT NOT NULL,
  stage       TEXT NOT NULL,
  link        TEXT NOT NULL,
  incident_id TEXT NOT NULL,
  event_seq   INTEGER,
  rule        TEXT NOT NULL,
  key         TEXT NOT NULL,
  level       TEXT,
  type        TEXT NOT NULL,
  quiet       INTEGER NOT NULL,
  created_ms  INTEGER NOT NULL,
  settled_ms  INTEGER,
  body        TEXT
) STRICT;

CREATE INDEX notification_unsettled ON notification (pipeline, stage) WHERE settled_ms IS NULL;
CREATE INDEX notification_incident ON notification (incident_id);

CREATE TABLE push_delivery (
  seq             INTEGER PRIMARY KEY,
  id              TEXT NOT NULL UNIQUE,
  notification_id TEXT NOT NULL,
  pipeline        TEXT NOT NULL,
  stage           TEXT NOT NULL,
  target          TEXT NOT NULL,
  target_index    INTEGER NOT NULL,
  status          TEXT NOT NULL,
  attempts        INTEGER NOT NULL,
  created_ms      INTEGER NOT NULL,
  next_try_ms     INTEGER NOT NULL,
  delivered_ms    INTEGER,
  error           TEXT,
  body            TEXT
) STRICT;

CREATE INDEX push_delivery_pending ON push_delivery (pipeline, stage) WHERE status = 'pending';
CREATE INDEX push_delivery_notification ON push_delivery (notification_id);

CREATE TABLE dead_letter (
  id          INTEGER PRIMARY KEY,
  pipeline    TEXT NOT NULL,
  stage       TEXT NOT NULL,
  wall_ms     INTEGER NOT NULL,
  device      TEXT,
  record_json TEXT NOT NULL,
  error       TEXT NOT NULL
) STRICT;

CREATE INDEX dead_letter_stage ON dead_letter (pipeline, stage);

CREATE TABLE stage_snapshot (
  pipeline TEXT NOT NULL,
  stage    TEXT NOT NULL,
  name     TEXT NOT NULL,
  wall_ms  INTEGER NOT NULL,
  data     BLOB NOT NULL,
  PRIMARY KEY (pipeline, stage, name)
) STRICT;

CREATE TABLE silence (
  id            TEXT PRIMARY KEY,
  matchers_json TEXT NOT NULL,
  from_ms       INTEGER NOT NULL,
  to_ms         INTEGER NOT NULL,
  author        TEXT NOT NULL,
  comment       TEXT,
  created_ms    INTEGER NOT NULL,
  ended_ms      INTEGER
) STRICT;
