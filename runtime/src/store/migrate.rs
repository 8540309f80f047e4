//! Brings a database file to the format of this version.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;
use super::audit::chain;

/// The format with which the audit log becomes a chain.
const HISTORY: &str = include_str!("../../migrations/main/0005_history.sql");

/// The formats of `goldenpath.db`, oldest first. Append only: a released one never changes.
pub(super) const MAIN: &[&str] = &[
    include_str!("../../migrations/main/0001_catalog.sql"),
    include_str!("../../migrations/main/0002_principal.sql"),
    include_str!("../../migrations/main/0003_plugin.sql"),
    include_str!("../../migrations/main/0004_action.sql"),
    HISTORY,
    include_str!("../../migrations/main/0006_source.sql"),
    include_str!("../../migrations/main/0007_derived.sql"),
    include_str!("../../migrations/main/0008_search.sql"),
    include_str!("../../migrations/main/0009_write.sql"),
    include_str!("../../migrations/main/0010_walk.sql"),
    include_str!("../../migrations/main/0011_term.sql"),
    include_str!("../../migrations/main/0012_secret.sql"),
    include_str!("../../migrations/main/0013_rights.sql"),
    include_str!("../../migrations/main/0014_usage.sql"),
    include_str!("../../migrations/main/0015_engine.sql"),
    include_str!("../../migrations/main/0016_action_permission.sql"),
    include_str!("../../migrations/main/0017_watch.sql"),
    include_str!("../../migrations/main/0018_queue.sql"),
    include_str!("../../migrations/main/0019_queue_length.sql"),
];

/// The formats of `logs.db`, oldest first.
pub(super) const LOGS: &[&str] = &[include_str!("../../migrations/logs/0001_event.sql")];

/// Newest format of each database that this version writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Formats {
    /// Format of `goldenpath.db`.
    pub main: usize,
    /// Format of `logs.db`.
    pub logs: usize,
}

/// What this version writes.
pub const FORMATS: Formats = Formats {
    main: MAIN.len(),
    logs: LOGS.len(),
};

/// Refuses a file that a newer version wrote, without touching it.
pub(super) fn check(
    file: &Path,
    connection: &Connection,
    formats: &[&str],
) -> Result<(), OpenError> {
    let found = find_format(file, connection)?;
    let known = u32::try_from(formats.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer {
            file: file.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// Applies what is missing, all of it or nothing.
pub(super) fn migrate(
    file: &Path,
    connection: &mut Connection,
    formats: &[&str],
) -> Result<(), OpenError> {
    let failed = |source| OpenError::Database {
        file: file.to_owned(),
        source,
    };
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    let found = find_format(file, &transaction)?;
    let missing = formats.get(found as usize..).unwrap_or_default();
    for format in missing {
        transaction.execute_batch(format).map_err(failed)?;
        if *format == HISTORY {
            // SQLite cannot hash.
            chain::chain_existing(&transaction).map_err(failed)?;
        }
    }
    if !missing.is_empty() {
        let known = u32::try_from(formats.len()).unwrap_or(u32::MAX);
        transaction
            .pragma_update(None, "user_version", known)
            .map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

pub(super) fn find_format(file: &Path, connection: &Connection) -> Result<u32, OpenError> {
    connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(|source| OpenError::Database {
            file: file.to_owned(),
            source,
        })
}
