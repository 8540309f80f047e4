//! One process per data folder.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, Permissions};
use rustix::fs::{FlockOperation, flock};

use super::OpenError;

const LOCK_FILE: &str = "goldenpath.lock";

/// Held while the data folder is open. The kernel releases it when the process ends, however it ends.
#[derive(Clone, Debug)]
pub struct FolderLock {
    _file: Arc<File>,
}

impl FolderLock {
    /// Makes the folder where it is missing and takes the lock.
    pub fn take(folder: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        };
        let dir = open_or_make(folder).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true);
        let mut file: File = dir
            .open_with(LOCK_FILE, &options)
            .map_err(failed)?
            .into_std();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = String::new();
                // Whatever else somebody may have put there, a process id is short.
                let read = (&file).take(20).read_to_string(&mut holder);
                let holder = holder.trim().to_owned();
                let holder = if read.is_err() || holder.is_empty() {
                    "unknown".to_owned()
                } else {
                    holder
                };
                return Err(OpenError::Held {
                    folder: folder.to_owned(),
                    holder,
                });
            }
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).map_err(failed)?;
        file.rewind().map_err(failed)?;
        write!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self {
            _file: Arc::new(file),
        })
    }
}

/// Opens the folder, or makes one that nobody else may look into: it will hold credentials. One that is there already
/// keeps the rights that its owner gave it.
fn open_or_make(folder: &Path) -> std::io::Result<Dir> {
    match Dir::open_ambient_dir(folder, ambient_authority()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Dir::create_ambient_dir_all(folder, ambient_authority())?;
            let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
            dir.set_permissions(
                ".",
                Permissions::from_std(std::fs::Permissions::from_mode(0o700)),
            )?;
            Ok(dir)
        }
        opened => opened,
    }
}
