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

-- The schemas of the catalog. `document` is the blueprint as the API shows it, without its stamp.
-- Keys are never used twice (AUTOINCREMENT), so that history may name what is gone.
CREATE TABLE blueprint (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  identifier TEXT    NOT NULL UNIQUE,
  document   TEXT    NOT NULL,            -- JSON
  created_at INTEGER NOT NULL,
  created_by TEXT    NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT    NOT NULL
) STRICT;

-- The rows of the catalog. The unique index also serves listing by identifier.
CREATE TABLE entity (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  blueprint_id INTEGER NOT NULL REFERENCES blueprint (id),
  identifier   TEXT    NOT NULL,
  title        TEXT,
  icon         TEXT,
  team         TEXT    NOT NULL,          -- JSON list of identifiers
  properties   TEXT    NOT NULL,          -- JSON object
  created_at   INTEGER NOT NULL,
  created_by   TEXT    NOT NULL,
  updated_at   INTEGER NOT NULL,
  updated_by   TEXT    NOT NULL,
  UNIQUE (blueprint_id, identifier)
) STRICT;

-- The edges of the catalog: a row per target. Read forwards by the primary key, backwards by the index.
CREATE TABLE relation (
  source_id INTEGER NOT NULL REFERENCES entity (id) ON DELETE CASCADE,
  name      TEXT    NOT NULL,
  position  INTEGER NOT NULL,             -- order within the relation; gaps are fine
  target_id INTEGER NOT NULL REFERENCES entity (id),
  PRIMARY KEY (source_id, name, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX relation_by_target ON relation (target_id, source_id, name);
