-- What happens in runs, in order. Never updated; whole runs are dropped when they are too old.
CREATE TABLE event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,         -- order over all runs
  run_id   TEXT    NOT NULL,
  sequence INTEGER NOT NULL,              -- 1, 2, 3 … within the run
  at       INTEGER NOT NULL,              -- milliseconds since the epoch
  kind     TEXT    NOT NULL,              -- log, progress, link or state
  body     TEXT    NOT NULL,              -- JSON
  UNIQUE (run_id, sequence)
) STRICT;
CREATE INDEX event_logs ON event (run_id, sequence) WHERE kind = 'log';
