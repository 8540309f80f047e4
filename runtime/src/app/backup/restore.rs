//! Putting a backup into an empty folder: all of it or nothing.

use std::io::{self, Read};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _, OpenOptions, OpenOptionsExt as _};
use serde_json::json;

use super::archive::{self, Manifest};
use crate::model::{Actor, AuditEntry, Verb};
use crate::store::{self, FILES, FolderLock, KEY_FILE, Store};

/// Where the files are until all of them are there and have been held against their checksums.
const PARTIAL: &str = "restore.partial";

/// What is put in place before the catalog.
const MOVED_FIRST: [&str; 2] = [KEY_FILE, FILES[1]];

/// What an empty folder may hold: the lock that is taken first, and what file systems put there themselves.
const HARMLESS: [&str; 2] = ["goldenpath.lock", "lost+found"];

/// Why a backup was not put in place. The folder is as empty as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The folder is in use or cannot be opened; it says itself why and what to do.
    #[error(transparent)]
    Folder(#[from] store::OpenError),
    /// There is something in the folder.
    #[error("`{folder}` is not empty, it holds `{found}`; restore into an empty folder")]
    NotEmpty {
        /// The folder.
        folder: String,
        /// One of the things in it.
        found: String,
    },
    /// The archive is not what was written, or was never one.
    #[error("the backup cannot be used: {0}")]
    Damaged(String),
    /// A newer version took it.
    #[error("the backup was taken by goldenpath {0}; use that version or a newer one")]
    Newer(String),
    /// The folder cannot be written.
    #[error("write the files")]
    Io(#[source] io::Error),
    /// The restored portal cannot be written to.
    #[error("open the restored portal")]
    Store(#[from] store::Error),
}

impl RestoreError {
    pub(super) fn damaged(why: impl Into<String>) -> Self {
        Self::Damaged(why.into())
    }

    /// The archive breaks off, or is no archive.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "it stands where errors are mapped"
    )]
    pub(super) fn unreadable(error: io::Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Puts a backup into a folder that is empty or not there yet, and notes that in its audit log.
///
/// The files appear under their names only when all of them are complete; what an interrupted restore left is taken
/// away by the next one.
pub async fn restore(archive: impl Read + Send, path: &Path) -> Result<Manifest, RestoreError> {
    let _lock = FolderLock::take(path)?;
    let folder = Dir::open_ambient_dir(path, ambient_authority()).map_err(RestoreError::Io)?;
    check_empty(&folder, path)?;
    remove(&folder).map_err(RestoreError::Io)?;
    folder
        .create_dir_with(PARTIAL, DirBuilder::new().mode(0o700))
        .map_err(RestoreError::Io)?;
    let restored = unpack(archive, &folder, path).await;
    let removed = remove(&folder);
    let manifest = restored?;
    removed.map_err(RestoreError::Io)?;
    Ok(manifest)
}

async fn unpack(
    archive: impl Read + Send,
    folder: &Dir,
    path: &Path,
) -> Result<Manifest, RestoreError> {
    let partial = folder.open_dir(PARTIAL).map_err(RestoreError::Io)?;
    let mut options = OpenOptions::new();
    // They hold the key that signs tokens.
    options.write(true).create_new(true).mode(0o600);
    let manifest = archive::read(archive, |name| partial.open_with(name, &options))?;
    note(&path.join(PARTIAL), &manifest).await?;
    // Closing takes all that is in the write-ahead logs into the files.
    for name in FILES {
        if partial.exists(format!("{name}-wal")) {
            return Err(store::Error::Commit(format!("`{name}` was not closed")).into());
        }
    }
    // The catalog comes last: a folder without it is no portal.
    let key = partial.exists(KEY_FILE).then_some(KEY_FILE);
    for name in key.into_iter().chain(FILES.into_iter().rev()) {
        let file = partial.open(name).map_err(RestoreError::Io)?;
        file.sync_all().map_err(RestoreError::Io)?;
        partial
            .rename(name, folder, name)
            .map_err(RestoreError::Io)?;
    }
    sync(folder).map_err(RestoreError::Io)?;
    Ok(manifest)
}

/// Opens the restored portal once, which shows that it can be opened, and tells its audit log where it comes from.
async fn note(path: &Path, manifest: &Manifest) -> Result<(), RestoreError> {
    let store = Store::open(path)?;
    let told = json!(manifest);
    let identifier = manifest.taken_at.to_string();
    let written: Result<(), store::Error> = store
        .write(move |tx| {
            tx.insert_audit(&AuditEntry {
                actor: &Actor::system(),
                verb: Verb::Restore,
                resource: "backup",
                identifier,
                before: None,
                after: Some(told),
            })
        })
        .await;
    Ok(written?)
}

fn check_empty(folder: &Dir, path: &Path) -> Result<(), RestoreError> {
    let interrupted = folder.exists(PARTIAL);
    for entry in folder.entries().map_err(RestoreError::Io)? {
        let name = entry.map_err(RestoreError::Io)?.file_name();
        let name = name.to_string_lossy();
        // Key and log are moved first; with no catalog beside them, they are the rest of a restore that did not finish.
        let left_over = interrupted && (name == PARTIAL || MOVED_FIRST.contains(&name.as_ref()));
        if !left_over && !HARMLESS.contains(&name.as_ref()) {
            return Err(RestoreError::NotEmpty {
                folder: path.display().to_string(),
                found: name.into_owned(),
            });
        }
    }
    for name in MOVED_FIRST {
        if interrupted && folder.exists(name) {
            folder.remove_file(name).map_err(RestoreError::Io)?;
        }
    }
    Ok(())
}

fn remove(folder: &Dir) -> io::Result<()> {
    match folder.remove_dir_all(PARTIAL) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Makes the new names outlive a power cut.
fn sync(folder: &Dir) -> io::Result<()> {
    folder.open(".")?.sync_all()
}
