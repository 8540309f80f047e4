-- What a blueprint's text and permissions were last: drawn anew at every change, so that a parsed copy can be told to
-- be current without reading the text. Zero is the text of before this column.
ALTER TABLE blueprint ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE blueprint ADD COLUMN permissions TEXT;         -- JSON; NULL as long as nobody has said anything

-- Counts the changes of a row and of its edges, so that a write which was thought through outside of the transaction
-- can be told to still hold.
ALTER TABLE entity ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
-- The program that wrote the entity last, by its own words (`User-Agent`): integrations find what is theirs by it.
ALTER TABLE entity ADD COLUMN datasource TEXT;
CREATE INDEX entity_by_datasource ON entity (datasource, id) WHERE datasource IS NOT NULL;

-- Work on many entities that goes on behind the request that asked for it, batch by batch.
CREATE TABLE migration (
  id               TEXT    NOT NULL PRIMARY KEY,
  status           TEXT    NOT NULL,                      -- PENDING, RUNNING, COMPLETED or FAILURE
  blueprint        TEXT    NOT NULL,                      -- whose entities are deleted
  delete_blueprint INTEGER NOT NULL,                      -- whether it goes too, at the end
  actor            TEXT    NOT NULL,                      -- JSON: on whose behalf
  done             INTEGER NOT NULL DEFAULT 0,            -- entities deleted so far
  message          TEXT,                                  -- why it failed
  created_at       INTEGER NOT NULL,                      -- milliseconds since the epoch
  updated_at       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX migration_open ON migration (created_at) WHERE status IN ('PENDING', 'RUNNING');
