-- Where the documents of the catalog are kept: a repository, a folder, a pipeline, under a name of its own choice.
CREATE TABLE source (
  id   INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT    NOT NULL UNIQUE
) STRICT;

-- What each source put in place last, so that it can be told what a source has no document for any more. An object
-- belongs to one source at most, and to none where people and programs write it by hand.
CREATE TABLE blueprint_source (
  blueprint_id INTEGER PRIMARY KEY REFERENCES blueprint (id) ON DELETE CASCADE,
  source_id    INTEGER NOT NULL REFERENCES source (id)
) STRICT;
CREATE INDEX blueprint_by_source ON blueprint_source (source_id);

CREATE TABLE entity_source (
  entity_id INTEGER PRIMARY KEY REFERENCES entity (id) ON DELETE CASCADE,
  source_id INTEGER NOT NULL REFERENCES source (id)
) STRICT;
CREATE INDEX entity_by_source ON entity_source (source_id);

CREATE TABLE action_source (
  action    TEXT    NOT NULL PRIMARY KEY REFERENCES action (identifier) ON DELETE CASCADE,
  source_id INTEGER NOT NULL REFERENCES source (id)
) STRICT, WITHOUT ROWID;
CREATE INDEX action_by_source ON action_source (source_id);
