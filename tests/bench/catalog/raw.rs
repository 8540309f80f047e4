//! SQLite without a portal.

use std::path::Path;
use std::time::{Duration, Instant};

use goldenpath_tests::generator::Generator;
use rusqlite::{Connection, OpenFlags, params};

/// Prepared statements kept, as the portal keeps them.
const STATEMENTS: usize = 128;

/// Pages kept in memory, in KiB, as the portal's writer keeps them.
const CACHE: i32 = 64 << 10;

/// Opens a database that somebody else writes.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite without the portal is the point"
)]
pub(super) fn open_read_only(file: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).unwrap();
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection
}

/// Upserts every entity into the one table of a new file, so many in a transaction; only the transactions are timed,
/// not the making of what they write.
#[expect(
    clippy::disallowed_methods,
    reason = "SQLite without the portal is the point"
)]
pub(super) fn insert(file: &Path, generator: &Generator, batch: usize) -> Duration {
    let mut connection = Connection::open(file).unwrap();
    connection
        .pragma_update(None, "journal_mode", "wal")
        .unwrap();
    connection
        .pragma_update(None, "synchronous", "full")
        .unwrap();
    connection
        .pragma_update(None, "cache_size", -CACHE)
        .unwrap();
    connection
        .execute_batch(
            "CREATE TABLE entity (
               id INTEGER PRIMARY KEY, blueprint TEXT NOT NULL, identifier TEXT NOT NULL, document TEXT NOT NULL,
               UNIQUE (blueprint, identifier)
             ) STRICT",
        )
        .unwrap();
    let mut taken = Duration::ZERO;
    for batch in generator.batches(batch) {
        let rows: Vec<(String, String)> = batch
            .entities
            .iter()
            .map(|entity| {
                let identifier = entity["identifier"].as_str().unwrap();
                (identifier.to_owned(), entity.to_string())
            })
            .collect();
        let started = Instant::now();
        let transaction = connection.transaction().unwrap();
        {
            let mut upsert = transaction
                .prepare_cached(
                    "INSERT INTO entity (blueprint, identifier, document) VALUES (?1, ?2, ?3)
                     ON CONFLICT (blueprint, identifier) DO UPDATE SET document = excluded.document",
                )
                .unwrap();
            for (identifier, document) in &rows {
                upsert
                    .execute(params![batch.kind.blueprint(), identifier, document])
                    .unwrap();
            }
        }
        transaction.commit().unwrap();
        taken += started.elapsed();
    }
    taken
}
