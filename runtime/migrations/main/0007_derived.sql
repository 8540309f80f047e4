-- Scorecards. `document` is the scorecard as the API shows it, without its stamp.
CREATE TABLE scorecard (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  blueprint_id INTEGER NOT NULL REFERENCES blueprint (id) ON DELETE CASCADE,
  identifier   TEXT    NOT NULL,
  document     TEXT    NOT NULL,          -- JSON
  created_at   INTEGER NOT NULL,          -- milliseconds since the epoch
  created_by   TEXT    NOT NULL,
  updated_at   INTEGER NOT NULL,
  updated_by   TEXT    NOT NULL,
  UNIQUE (blueprint_id, identifier)
) STRICT;

-- Which source keeps a scorecard as a document.
CREATE TABLE scorecard_source (
  scorecard_id INTEGER PRIMARY KEY REFERENCES scorecard (id) ON DELETE CASCADE,
  source_id    INTEGER NOT NULL REFERENCES source (id)
) STRICT;
CREATE INDEX scorecard_by_source ON scorecard_source (source_id);

-- One number, drawn anew by every change of a blueprint or a scorecard: what was worked out from them before is then
-- known to be old. At random, so that the number of an undone change is never that of another.
CREATE TABLE derive_schema (version INTEGER NOT NULL) STRICT;
INSERT INTO derive_schema (version) VALUES (random());
CREATE TRIGGER blueprint_added AFTER INSERT ON blueprint BEGIN UPDATE derive_schema SET version = random(); END;
CREATE TRIGGER blueprint_changed AFTER UPDATE ON blueprint BEGIN UPDATE derive_schema SET version = random(); END;
CREATE TRIGGER blueprint_removed AFTER DELETE ON blueprint BEGIN UPDATE derive_schema SET version = random(); END;
CREATE TRIGGER scorecard_added AFTER INSERT ON scorecard BEGIN UPDATE derive_schema SET version = random(); END;
CREATE TRIGGER scorecard_changed AFTER UPDATE ON scorecard BEGIN UPDATE derive_schema SET version = random(); END;
CREATE TRIGGER scorecard_removed AFTER DELETE ON scorecard BEGIN UPDATE derive_schema SET version = random(); END;

-- What is derived from an entity and from what it is related to. Nothing here is anybody's word: it can all be made
-- again.
CREATE TABLE entity_derived (
  entity_id  INTEGER PRIMARY KEY REFERENCES entity (id) ON DELETE CASCADE,
  revision   INTEGER NOT NULL,            -- counts up, so that a value that was made from older ones is not kept
  properties TEXT    NOT NULL,            -- JSON object, without those that have no value
  scorecards TEXT    NOT NULL,            -- JSON object
  failures   TEXT                         -- JSON object, property to why it could not be made
) STRICT;
CREATE INDEX entity_derived_failed ON entity_derived (entity_id) WHERE failures IS NOT NULL;

-- What is still to be derived. An entry leads to others (`origin` says to which it goes back), and goes only in the
-- transaction that writes what came of it.
CREATE TABLE derive_queue (
  sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
  background   INTEGER NOT NULL,          -- 0: somebody waits for it; 1: a definition has changed
  origin       INTEGER,                   -- NULL: the entry itself
  blueprint_id INTEGER NOT NULL,
  entity_id    INTEGER,                   -- NULL: every entity of the blueprint
  cause        TEXT    NOT NULL,          -- JSON: what of it has changed
  reached      TEXT    NOT NULL DEFAULT '',           -- identifier up to which all entities are done
  at           INTEGER NOT NULL
) STRICT;
CREATE INDEX derive_queue_in_order ON derive_queue (background, coalesce(origin, sequence));

-- Blueprints of before this table: whatever they derive is made now.
INSERT INTO derive_queue (background, blueprint_id, cause, at)
SELECT 1, id, '{"all":true}', updated_at FROM blueprint;
