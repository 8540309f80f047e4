-- Names of what the value index holds, per blueprint: properties as they are, `$title`, `$team` and the like, and what
-- is derived under names of its own.
CREATE TABLE property_name (
  id           INTEGER PRIMARY KEY AUTOINCREMENT,
  blueprint_id INTEGER NOT NULL REFERENCES blueprint (id) ON DELETE CASCADE,
  name         TEXT    NOT NULL,
  UNIQUE (blueprint_id, name)
) STRICT;

-- The values of entities, put in order: one row per scalar. Numbers and texts as they are, the latter cut short; all
-- else as a blob whose first byte tells its kind. Without foreign keys: every change passes one place, and rows go
-- together with their property.
CREATE TABLE value (
  property INTEGER NOT NULL,
  value    ANY     NOT NULL,
  entity   INTEGER NOT NULL,
  PRIMARY KEY (property, value, entity)
) STRICT, WITHOUT ROWID;

-- The entities of a blueprint in the order in which results are given.
CREATE INDEX entity_by_blueprint ON entity (blueprint_id);

-- Entities that were there before the indexes; whoever opens the catalog works them off.
CREATE TABLE unindexed (
  entity INTEGER PRIMARY KEY
) STRICT;
INSERT INTO unindexed (entity) SELECT id FROM entity;

-- The words of entities, by key. Without the texts themselves: those stand in the entity.
CREATE VIRTUAL TABLE entity_text USING fts5 (
  title, identifier, body,
  content = '', contentless_delete = 1, detail = column, tokenize = "unicode61 remove_diacritics 2"
);
CREATE VIRTUAL TABLE entity_word USING fts5vocab (entity_text, row);
