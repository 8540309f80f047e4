//! SQLite. Knows SQL; knows no rules: those are in `catalog`, `plugin` and `action`.
//!
//! Two files: `goldenpath.db` holds everything that must survive whatever happens, `logs.db` what runs print. Each has
//! one writer thread, which commits many waiting writes together, and several readers, which never wait for it.

mod action;
mod action_permission;
mod audit;
mod backup;
mod blueprint;
mod connection;
mod datasource;
mod derive_queue;
mod derived;
mod doctor;
mod entity;
mod error;
mod event;
mod feedback;
mod history;
mod lock;
mod metrics;
mod migrate;
mod migration;
mod permission;
mod plugin;
mod plugin_state;
mod principal;
mod query;
mod relation;
mod run;
mod scorecard;
mod secret;
mod source;
mod statistics;
mod step;
#[cfg(test)]
mod tests;
mod text;
mod trace;
mod usage;
mod value;
mod whole;
mod writer;

use std::path::Path;

use tokio::sync::watch;

pub use audit::verify::{AuditMark, MarkError};
pub use audit::{AuditOrder, EntityChange};
pub use backup::Snapshot;
pub use blueprint::{BlueprintKey, BlueprintRow};
pub use connection::{ReadTx, WriteTx};
pub use datasource::MAX_PROGRAMS;
pub use derive_queue::{NewQueued, QueueState, Queued};
pub use derived::DerivedRow;
pub use doctor::{Area, Checkup, check_folder};
pub use entity::{EntityKey, EntityRow, EntityText};
pub use error::{Error, OpenError};
pub use history::{BLUEPRINT_RENAME, Life};
pub use lock::FolderLock;
pub use migrate::{FORMATS, Formats};
pub use permission::Hidden;
pub use plugin::StoredPlugin;
pub use plugin_state::StateWrite;
pub use principal::Credential;
pub use query::{Column, ColumnTest, Condition, Cursor, Driver, Matching};
pub use relation::{Dependent, Targets};
pub use run::{Asked, Moved, QueueLength, Room};
pub use scorecard::{ScorecardKey, ScorecardRow};
pub use secret::SealedSecret;
pub use source::{Owned, SourceKey};
pub use statistics::RunFigure;
pub use text::{Place, TextRow, Word};
pub use usage::{RunUsage, UsageRow};
pub use value::{IndexValue, PropertyKey, Span, scorecard_name};
pub use whole::{Edges, WholeRow};

use connection::{Database, Durability};
use metrics::StoreMetrics;

/// The database files of a data folder: what must survive, and what runs print.
pub const FILES: [&str; 2] = ["goldenpath.db", "logs.db"];

/// The file of a data folder that holds the key of all secrets, where no setting gives it. Made with the first secret.
pub const KEY_FILE: &str = "secret.key";

/// The data folder, opened. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    main: Database,
    logs: Database,
    metrics: StoreMetrics,
}

impl Store {
    /// Opens a data folder, making and migrating what is missing.
    ///
    /// # Errors
    /// Another process holds the folder, a newer version wrote it, or the disk refuses.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let lock = FolderLock::take(folder)?;
        let [main, logs] = FILES.map(|name| folder.join(name));
        let metrics = StoreMetrics::default();
        let watch = |name| metrics.of(name);
        let main = Database::open(
            &main,
            migrate::MAIN,
            Durability::Full,
            &lock,
            watch(metrics::MAIN),
        )?;
        let logs = Database::open(
            &logs,
            migrate::LOGS,
            Durability::Normal,
            &lock,
            watch(metrics::LOGS),
        )?;
        Ok(Self {
            main,
            logs,
            metrics,
        })
    }

    /// Runs a closure on one consistent snapshot. It may block: it is never on an async thread.
    pub async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.main.read(work).await
    }

    /// As [`Self::read`], for a look at a few rows that indexes lead to: on the thread of whoever asks, where a
    /// connection is free. What takes longer than it should is broken off and read elsewhere, from the beginning.
    pub async fn glance<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.main.glance(work).await
    }

    /// Runs a closure in a write transaction of its own. An `Err` undoes all that it wrote; an `Ok` comes back only
    /// when it is on disk.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.main.write(work).await
    }

    /// Pins both databases as they are now, the log never ahead of the catalog. It may block.
    pub fn snapshot(&self) -> Result<Snapshot, Error> {
        // What runs print is written after the run itself: in this order no line is without its run.
        let logs = self.logs.pin()?;
        Ok(Snapshot {
            main: self.main.pin()?,
            logs,
        })
    }

    /// The newest sequence of the audit log as of the last commit that appended to it; 0 before the first.
    pub fn appended(&self) -> watch::Receiver<u64> {
        self.main.appended()
    }

    /// As [`Self::read`], on what runs print.
    pub async fn read_logs<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.logs.read(work).await
    }

    /// As [`Self::write`], on what runs print: a power cut may lose the last lines, a crash of the process does not.
    pub async fn write_logs<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.logs.write(work).await
    }
}
