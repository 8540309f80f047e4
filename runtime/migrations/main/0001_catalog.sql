-- The audit log. One row per change or decision, in the transaction of the change; never updated, never deleted.
CREATE TABLE audit (
  sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
  at         INTEGER NOT NULL,            -- milliseconds since the epoch
  actor      TEXT    NOT NULL,
  origin     TEXT    NOT NULL,            -- API, PLUGIN or SYSTEM
  run_id     TEXT,
  verb       TEXT    NOT NULL,
  resource   TEXT    NOT NULL,
  identifier TEXT    NOT NULL,
  before     TEXT,                        -- JSON
  after      TEXT                         -- JSON
) STRICT;
CREATE INDEX audit_by_run ON audit (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX audit_by_object ON audit (resource, identifier);
