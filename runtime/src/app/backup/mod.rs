//! Backups: everything that the portal holds as one file, and back into an empty folder.

mod archive;
mod restore;
#[cfg(test)]
mod tests;

pub use archive::{Manifest, verify_archive};
pub use restore::{RestoreError, restore};

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use crate::model::{Actor, AuditEntry, Timestamp, Verb};
use crate::store::{self, FILES, KEY_FILE, Snapshot, Store};
use archive::{FileEntry, hash_file};

/// Where copies are made, in the data folder; nothing else is ever here.
const FOLDER: &str = "backup.partial";

/// Disk space that a backup leaves free, so that the portal itself can go on writing.
const SPARE_BYTES: u64 = 64 << 20;

/// Bytes that are sent at a time.
const CHUNK: usize = 256 << 10;

/// How long a reader may pause before its backup is given up: the copy takes room on disk.
const PAUSE: Duration = Duration::from_secs(60);

/// Takes backups, one at a time. Clones share it.
#[derive(Clone, Debug)]
pub struct Backups {
    store: Store,
    folder: Arc<Dir>,
    path: Arc<Path>,
    turn: Arc<Semaphore>,
}

/// A backup on its way to whoever asked for it.
#[derive(Debug)]
pub struct Backup {
    /// Bytes in all.
    pub size: u64,
    /// What it holds.
    pub manifest: Manifest,
    /// The bytes in order. An error ends them.
    pub chunks: mpsc::Receiver<io::Result<Vec<u8>>>,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One is being taken.
    #[error("a backup is being taken; wait until it is done")]
    Busy,
    /// The copy does not fit on the disk.
    #[error(
        "a backup takes {needed} bytes of the data folder's disk for a while, and {free} are free"
    )]
    NoSpace {
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The copy cannot be written or read.
    #[error("write the copy")]
    Io(#[from] io::Error),
    /// The store failed.
    #[error("copy the databases")]
    Store(#[from] store::Error),
}

impl Backups {
    /// The backups of a data folder. Removes what one left that was interrupted.
    pub(super) fn open(store: Store, path: &Path) -> Result<Self, BackupError> {
        let folder = Dir::open_ambient_dir(path, ambient_authority())?;
        remove(&folder)?;
        Ok(Self {
            store,
            folder: Arc::new(folder),
            path: path.into(),
            turn: Arc::new(Semaphore::new(1)),
        })
    }

    /// Takes a backup. Whoever takes the chunks too slowly loses it.
    pub async fn take(&self, actor: &Actor) -> Result<Backup, BackupError> {
        let turn = Arc::clone(&self.turn)
            .try_acquire_owned()
            .map_err(|_| BackupError::Busy)?;
        let (taker, taken_by, at) = (self.clone(), actor.name.clone(), Timestamp::now());
        // The turn is over when the work is, not when whoever asked goes away.
        let copy = tokio::task::spawn_blocking(move || (taker.copy(taken_by, at), turn)).await;
        let (copy, turn) = copy.map_err(|_| store::Error::Panicked)?;
        let copy = copy?;
        let told = json!(copy.manifest);
        let (entry_actor, identifier) = (actor.clone(), at.to_string());
        let written: Result<(), store::Error> = self
            .store
            .write(move |tx| {
                tx.insert_audit(&AuditEntry {
                    actor: &entry_actor,
                    verb: Verb::Create,
                    resource: "backup",
                    identifier,
                    before: None,
                    after: Some(told),
                })
            })
            .await;
        written?;
        let manifest = copy.manifest.clone();
        let size = archive::size(&manifest)?;
        let (sender, chunks) = mpsc::channel(4);
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut sending = Sending {
                sender: sender.clone(),
                runtime,
                chunk: Vec::with_capacity(CHUNK),
            };
            let sent = archive::write(&copy.manifest, copy.files, &mut sending)
                .and_then(|()| sending.flush());
            if let Err(error) = sent {
                tracing::warn!(%error, "a backup broke off");
                // Its reader may have gone away, or have a full queue; then it notices by the length.
                drop(sender.try_send(Err(error)));
            }
            drop(turn);
        });
        Ok(Backup {
            size,
            manifest,
            chunks,
        })
    }

    /// Copies both databases and opens the copies, and the key of the secrets. Their names are gone when this returns, so that nothing is left of
    /// them whatever happens.
    fn copy(&self, taken_by: String, at: Timestamp) -> Result<Copy, BackupError> {
        let snapshot = self.store.snapshot()?;
        let needed: u64 = snapshot.sizes()?.iter().sum();
        let disk = rustix::fs::fstatvfs(&*self.folder).map_err(io::Error::from)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < needed.saturating_add(SPARE_BYTES) {
            return Err(BackupError::NoSpace { needed, free });
        }
        remove(&self.folder)?;
        self.folder
            .create_dir_with(FOLDER, DirBuilder::new().mode(0o700))?;
        let copied = self.copy_into(&snapshot, taken_by, at);
        // Also where that failed: half a copy is of no use.
        let removed = remove(&self.folder);
        let copied = copied?;
        removed?;
        Ok(copied)
    }

    fn copy_into(
        &self,
        snapshot: &Snapshot,
        taken_by: String,
        at: Timestamp,
    ) -> Result<Copy, BackupError> {
        let newest = snapshot.newest_audit()?;
        snapshot.copy_into(&self.path.join(FOLDER))?;
        let folder = self.folder.open_dir(FOLDER)?;
        let mut opened = Vec::new();
        for name in FILES {
            opened.push((name, folder.open(name)?.into_std()));
        }
        // After the snapshot: it is there before the first secret, and never changes while there are any.
        match self.folder.open(KEY_FILE) {
            Ok(file) => opened.push((KEY_FILE, file.into_std())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let mut files = Vec::new();
        let mut entries = Vec::new();
        for (name, mut file) in opened {
            let (size, sha256) = hash_file(&mut file)?;
            files.push(file);
            entries.push(FileEntry {
                name: name.to_owned(),
                size,
                sha256,
            });
        }
        let newest = newest.map(|mark| mark.to_string()).unwrap_or_default();
        Ok(Copy {
            manifest: Manifest::new(at, taken_by, newest, entries),
            files,
        })
    }
}

/// Both databases, copied.
struct Copy {
    manifest: Manifest,
    files: Vec<std::fs::File>,
}

fn remove(folder: &Dir) -> io::Result<()> {
    match folder.remove_dir_all(FOLDER) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Hands over what is written, a chunk at a time; waits for a slow reader, but not for ever.
struct Sending {
    sender: mpsc::Sender<io::Result<Vec<u8>>>,
    runtime: tokio::runtime::Handle,
    chunk: Vec<u8>,
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.chunk.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let sent = self
            .runtime
            .block_on(async { tokio::time::timeout(PAUSE, self.sender.send(Ok(chunk))).await });
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "its reader went away",
            )),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "its reader stopped reading",
            )),
        }
    }
}
