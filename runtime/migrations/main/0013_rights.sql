-- The run in which a plugin started this one, and the first of that chain, which a person asked for.
ALTER TABLE run ADD COLUMN parent TEXT;
ALTER TABLE run ADD COLUMN root TEXT;
CREATE INDEX run_by_root ON run (root) WHERE root IS NOT NULL;

-- Everybody who installed a package, the first time and again: where four eyes are asked for, none of them approves it.
CREATE TABLE plugin_installer (
  digest TEXT    NOT NULL REFERENCES plugin_package (digest),
  person TEXT    NOT NULL,
  at     INTEGER NOT NULL,                -- milliseconds since the epoch
  PRIMARY KEY (digest, person)
) STRICT, WITHOUT ROWID;
INSERT INTO plugin_installer (digest, person, at)
SELECT digest, installed_by, min(installed_at) FROM plugin_version GROUP BY digest, installed_by;

-- Who gave a package the power that it has: whoever approved it last, or the grant that it took over, and everybody who
-- went back to it. Of what was approved before this nobody is known, so that its next version waits where four eyes are
-- asked for.
CREATE TABLE plugin_grantor (
  digest TEXT    NOT NULL REFERENCES plugin_package (digest),
  person TEXT    NOT NULL,
  at     INTEGER NOT NULL,                -- milliseconds since the epoch
  PRIMARY KEY (digest, person)
) STRICT, WITHOUT ROWID;
