-- Package files, each kept once, as they were installed.
CREATE TABLE plugin_package (
  digest  TEXT PRIMARY KEY,               -- sha256:…
  content BLOB NOT NULL
) STRICT;

-- Installed versions of plugins.
CREATE TABLE plugin_version (
  sequence      INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT    NOT NULL,
  version       TEXT    NOT NULL,
  title         TEXT    NOT NULL,
  digest        TEXT    NOT NULL REFERENCES plugin_package (digest),
  manifest_hash TEXT    NOT NULL,
  state         TEXT    NOT NULL,         -- pending, active, superseded, rejected or revoked
  installed_at  INTEGER NOT NULL,         -- milliseconds since the epoch
  installed_by  TEXT    NOT NULL,
  permitted     TEXT,                     -- JSON of the grant; NULL before an approval
  UNIQUE (name, version)
) STRICT;
-- At most one version of a plugin serves runs.
CREATE UNIQUE INDEX plugin_version_active ON plugin_version (name) WHERE state = 'active';

-- What plugins keep between runs.
CREATE TABLE plugin_state (
  plugin TEXT NOT NULL,
  key    TEXT NOT NULL,
  value  BLOB NOT NULL,
  PRIMARY KEY (plugin, key)
) STRICT, WITHOUT ROWID;
