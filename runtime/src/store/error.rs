//! What can go wrong with the disk.

use std::path::PathBuf;

/// Why a read or write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused; a constraint that fires here is a rule that a floor above forgot to check.
    #[error("use the database")]
    Sqlite(#[source] rusqlite::Error),
    /// The reading took longer than it was allowed to.
    #[error("read within the time that a query has")]
    TooLong,
    /// A stored value is not what this version writes.
    #[error("read a stored {what}")]
    Corrupt {
        /// Which kind of value.
        what: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The transaction of which this write was a part could not be committed; nothing of it remains.
    #[error("commit a write: {0}")]
    Commit(String),
    /// The work itself panicked; nothing of it remains.
    #[error("finish a unit of work that panicked")]
    Panicked,
    /// The store is being closed.
    #[error("reach the store: it is closing")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        // Nothing else interrupts: the progress handler of a query whose time is up.
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::OperationInterrupted) => Self::TooLong,
            _ => Self::Sqlite(error),
        }
    }
}

impl Error {
    /// Wraps why a stored value could not be read back.
    pub(crate) fn corrupt(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt {
            what,
            source: source.into(),
        }
    }
}

/// Why a data folder cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("open data folder `{}`: process {holder} has it open; stop that process or choose another folder with --data", folder.display())]
    Held {
        /// The folder.
        folder: PathBuf,
        /// Process id of the holder, or `unknown`.
        holder: String,
    },
    /// It was last written by a newer version.
    #[error("open `{}`: it was written by a newer goldenpath (format {found}, this one knows {known}); use that version, or restore a backup", file.display())]
    Newer {
        /// The database file.
        file: PathBuf,
        /// Format of the file.
        found: u32,
        /// Newest format that this version knows.
        known: u32,
    },
    /// There is no portal in the folder.
    #[error("find `{}`; is `{}` the data folder of a portal?", file.display(), file.parent().unwrap_or(file).display())]
    Missing {
        /// The file that is not there.
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The folder cannot be made, read or locked.
    #[error("open data folder `{}`; another can be chosen with --data", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened or migrated.
    #[error("open database `{}`", file.display())]
    Database {
        /// The database file.
        file: PathBuf,
        #[source]
        source: rusqlite::Error,
    },
}
