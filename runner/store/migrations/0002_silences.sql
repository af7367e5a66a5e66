-- Silences are a stage's own, so that two stages may each have one of the same name. Version 1 never wrote its table.
DROP TABLE silence;

CREATE TABLE silence (
  pipeline      TEXT NOT NULL,
  stage         TEXT NOT NULL,
  id            TEXT NOT NULL,
  matchers_json TEXT NOT NULL,
  from_ms       INTEGER NOT NULL,
  to_ms         INTEGER NOT NULL,
  author        TEXT,
  comment       TEXT,
  created_ms    INTEGER NOT NULL,
  ended_ms      INTEGER,
  PRIMARY KEY (pipeline, stage, id)
) STRICT, WITHOUT ROWID;

-- Those that may still hold.
CREATE INDEX silence_to ON silence (to_ms);
