-- Who may come in. The secret itself is never stored.
CREATE TABLE principal (
  client_id   TEXT PRIMARY KEY,
  kind        TEXT NOT NULL,               -- user or app
  name        TEXT NOT NULL UNIQUE,        -- e-mail address of a user, name of an app; unique over both
  role        TEXT NOT NULL,
  teams       TEXT NOT NULL,               -- JSON list
  secret_hash TEXT NOT NULL,               -- argon2id, PHC form
  secret_id   TEXT NOT NULL,               -- random; tokens carry it, so that a new secret ends the tokens of the old one
  created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What this installation has made up for itself once, such as the key that signs tokens.
CREATE TABLE setting (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
