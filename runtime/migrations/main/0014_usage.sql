-- When the version last became active, or was approved again: from then on its lines had the time to be used.
ALTER TABLE plugin_version ADD COLUMN active_since INTEGER;   -- milliseconds since the epoch, as below
UPDATE plugin_version SET active_since = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE state = 'active';

-- Runs of each version that ended, and the most that one of them took of each budget.
CREATE TABLE plugin_runs (
  plugin   TEXT    NOT NULL,
  version  TEXT    NOT NULL,
  runs     INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  highest  TEXT    NOT NULL,              -- JSON: budget to number, in the budget's own unit
  PRIMARY KEY (plugin, version),
  FOREIGN KEY (plugin, version) REFERENCES plugin_version (name, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- What those runs used, asked for by name, or were denied.
CREATE TABLE plugin_usage (
  plugin   TEXT    NOT NULL,
  version  TEXT    NOT NULL,
  kind     TEXT    NOT NULL,              -- line, endpoint or denied
  subject  TEXT    NOT NULL,              -- the line or the name; '' for those for which there was no room
  count    INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at  INTEGER NOT NULL,
  acts     TEXT    NOT NULL,              -- JSON: narrower lines that would have done; null where they are too many
  PRIMARY KEY (plugin, version, kind, subject),
  FOREIGN KEY (plugin, version) REFERENCES plugin_version (name, version) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
