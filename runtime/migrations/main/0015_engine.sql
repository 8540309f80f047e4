-- How a run goes on that was not carried out in one piece.
ALTER TABLE run ADD COLUMN version TEXT;        -- the version of the plugin that it began with, and keeps
ALTER TABLE run ADD COLUMN due_at INTEGER;      -- when it goes on by itself; milliseconds since the epoch, as everywhere
ALTER TABLE run ADD COLUMN deadline_at INTEGER; -- when it has to have ended
ALTER TABLE run ADD COLUMN cancelled_by TEXT;   -- who asked that it be ended while a plugin is at work
ALTER TABLE run ADD COLUMN updated_by TEXT;     -- who moved it last by hand
ALTER TABLE run ADD COLUMN retry_of TEXT;       -- the run that it does once more
CREATE INDEX run_by_retry ON run (retry_of) WHERE retry_of IS NOT NULL;
CREATE INDEX run_due ON run (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX run_running ON run (sequence) WHERE state = 'running';

-- What a run has done so far, as far as it must be known when it is carried out again: named steps, and the effects outside
-- them. Whatever is here is not done again.
CREATE TABLE step (
  run_id     TEXT    NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  branch     TEXT    NOT NULL DEFAULT '',  -- room for calls that work in parallel; the run's own has none
  parent     INTEGER NOT NULL DEFAULT 0,   -- 0: a step or a sleep; -1: what was done outside of them
  number     INTEGER NOT NULL,             -- 1, 2, 3 … of steps and sleeps; of what was done outside, the attempt
  kind       TEXT    NOT NULL,             -- step, sleep, effect
  name       TEXT    NOT NULL,
  input      BLOB    NOT NULL,             -- SHA-256 of what it was begun with
  state      TEXT    NOT NULL,             -- started, finished, failed
  idempotent INTEGER NOT NULL,             -- whether it may be done again where it was cut off
  result     TEXT,                         -- JSON; of a sleep, when it ends
  attempt    INTEGER NOT NULL,             -- in which it was begun last
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  PRIMARY KEY (run_id, branch, parent, number)
) STRICT, WITHOUT ROWID;
