-- The audit log becomes a chain: `hash` covers the row and the hash of the row before it, in the form that
-- `store/audit/chain.rs` tells. Rows that are here already are numbered and chained by the program, in the same
-- transaction.
ALTER TABLE audit RENAME TO audit_unchained;

CREATE TABLE audit (
  sequence   INTEGER PRIMARY KEY,         -- 1, 2, 3 … without gaps
  at         INTEGER NOT NULL,            -- milliseconds since the epoch
  actor      TEXT    NOT NULL,
  origin     TEXT    NOT NULL,            -- API, PLUGIN or SYSTEM
  run_id     TEXT,
  verb       TEXT    NOT NULL,
  resource   TEXT    NOT NULL,
  blueprint  TEXT,                        -- of an entity or whatever else belongs to one, and of the blueprint itself
  identifier TEXT    NOT NULL,            -- of an entity: within its blueprint
  object_id  INTEGER,                     -- the entity's row; below zero where it was gone before rows were noted
  was        TEXT,                        -- the identifier that the entity lost by this: it was deleted or renamed
  before     TEXT,                        -- JSON
  after      TEXT,                        -- JSON
  hash       BLOB    NOT NULL             -- 32 bytes
) STRICT;

INSERT INTO audit
SELECT row_number() OVER (ORDER BY old.sequence), at, actor, origin, run_id, verb, resource,
       CASE resource WHEN 'entity' THEN coalesce(after, before) ->> 'blueprint'
                     WHEN 'blueprint' THEN old.identifier
                     ELSE coalesce(after, before) ->> 'blueprint' END,
       CASE resource WHEN 'entity' THEN coalesce(coalesce(after, before) ->> 'identifier', old.identifier)
                     ELSE old.identifier END,
       CASE resource WHEN 'entity' THEN coalesce(
         (SELECT entity.id FROM entity JOIN blueprint ON blueprint.id = entity.blueprint_id
          WHERE blueprint.identifier = coalesce(after, before) ->> 'blueprint'
            AND entity.identifier = coalesce(after, before) ->> 'identifier'),
         -min(old.sequence) OVER (PARTITION BY resource, old.identifier)) END,
       CASE WHEN resource = 'entity' AND verb = 'DELETE' THEN before ->> 'identifier' END,
       before, after, zeroblob(32)
FROM audit_unchained AS old ORDER BY old.sequence;
DROP TABLE audit_unchained;

-- Entities are found by their row, which counts up: a text index would take every write to a page of its own.
CREATE INDEX audit_by_object ON audit (object_id) WHERE object_id IS NOT NULL;
CREATE INDEX audit_by_lost_identifier ON audit (was, blueprint) WHERE was IS NOT NULL;
CREATE INDEX audit_by_identifier ON audit (identifier) WHERE resource <> 'entity';
CREATE INDEX audit_by_blueprint ON audit (blueprint) WHERE blueprint IS NOT NULL;
CREATE INDEX audit_by_run ON audit (run_id) WHERE run_id IS NOT NULL;

-- Both ends of the chain, so that a row that is missing at an end is missed. Written with every commit that appends.
CREATE TABLE audit_head (
  id        INTEGER PRIMARY KEY CHECK (id = 1),
  base      INTEGER NOT NULL,             -- sequence before the oldest row that is kept
  base_hash BLOB    NOT NULL,             -- the hash that the oldest row continues
  sequence  INTEGER NOT NULL,             -- of the newest row
  at        INTEGER NOT NULL,
  hash      BLOB    NOT NULL
) STRICT;

-- Rows whose time is before that of their predecessor, because the clock was put back. Between them time only grows,
-- so that a time is found by halving and needs no index.
CREATE TABLE audit_leap (
  sequence INTEGER PRIMARY KEY
) STRICT;
