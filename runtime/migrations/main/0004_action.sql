-- Self-service actions, as they were saved.
CREATE TABLE action (
  identifier TEXT    NOT NULL PRIMARY KEY,
  document   TEXT    NOT NULL,            -- JSON
  created_at INTEGER NOT NULL,            -- milliseconds since the epoch, as everywhere
  created_by TEXT    NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- Executions of actions. A run outlives its action: it carries the definition that it was accepted with.
CREATE TABLE run (
  sequence         INTEGER PRIMARY KEY AUTOINCREMENT, -- order of acceptance
  id               TEXT    NOT NULL UNIQUE,
  action           TEXT    NOT NULL,
  definition       TEXT    NOT NULL,      -- JSON: the action at the time of asking
  blueprint        TEXT,
  entity           TEXT,
  state            TEXT    NOT NULL,
  properties       TEXT    NOT NULL,      -- JSON
  output           TEXT,                  -- JSON
  failure_code     TEXT,
  failure_message  TEXT,
  links            TEXT    NOT NULL DEFAULT '[]',     -- JSON
  attempts         INTEGER NOT NULL DEFAULT 0,
  token            INTEGER,               -- fencing number of the attempt that may end the run
  created_by       TEXT    NOT NULL,
  created_by_teams TEXT    NOT NULL,      -- JSON
  created_by_role  TEXT    NOT NULL,
  created_at       INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL,
  ended_at         INTEGER
) STRICT;
CREATE INDEX run_queued ON run (sequence) WHERE state = 'queued';
CREATE INDEX run_active ON run (sequence) WHERE ended_at IS NULL;
CREATE INDEX run_by_action ON run (action, sequence);
CREATE INDEX run_by_entity ON run (blueprint, entity, sequence);
CREATE INDEX run_by_creator ON run (created_by, sequence);

-- Each time that guest code was started for a run; written before it starts.
CREATE TABLE attempt (
  token      INTEGER PRIMARY KEY AUTOINCREMENT,       -- never given twice: the fencing number
  run_id     TEXT    NOT NULL REFERENCES run (id) ON DELETE CASCADE,
  number     INTEGER NOT NULL,            -- 1, 2, 3 … within the run
  worker     TEXT    NOT NULL,            -- which start of which process
  started_at INTEGER NOT NULL,
  ended_at   INTEGER,
  outcome    TEXT,                        -- state that the run entered, or the failure's code
  UNIQUE (run_id, number)
) STRICT;
