-- Secrets that plugins use without seeing them. The key is not in the database.
CREATE TABLE secret (
  name       TEXT PRIMARY KEY,
  sealed     BLOB    NOT NULL,            -- version, nonce, ciphertext; see plugin/secret/seal.rs
  created_at INTEGER NOT NULL,            -- milliseconds since the epoch
  created_by TEXT    NOT NULL,
  updated_at INTEGER NOT NULL,
  updated_by TEXT    NOT NULL
) STRICT;
