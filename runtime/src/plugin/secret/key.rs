//! The key of all secrets: the one that a setting gives, else that of a file in the data folder.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _};
use zeroize::Zeroizing;

use crate::model::SecretKey;
use crate::store::{self, KEY_FILE};

/// Longer than any key with the space around it.
const MAX_FILE_BYTES: u64 = 256;

/// Why the stored secrets cannot be used. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyError {
    /// Secrets are there, and no key.
    #[error("the key of the stored secrets is missing; put `{}` back, or give the key as GOLDENPATH_SECRET_KEY", file.display())]
    Missing {
        /// Where it should be.
        file: PathBuf,
    },
    /// Secrets are there, sealed with another key.
    #[error("{from} is not the key of the stored secrets; start with the one that they were set with, in `{}` or as GOLDENPATH_SECRET_KEY", file.display())]
    Wrong {
        /// Where the wrong one comes from.
        from: String,
        /// Where the right one could be.
        file: PathBuf,
    },
    /// Others can read the key.
    #[error("`{0}` can be read by others, and it opens every secret; run `chmod 600 {0}`", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// The file is no key.
    #[error("`{}` does not hold a key, which is 64 hexadecimal digits; put back the one that was there", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read or made.
    #[error("use the key file `{}`", file.display())]
    File {
        /// The file.
        file: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The operating system has no randomness for a new key.
    #[error("make up a key")]
    Random(#[source] getrandom::Error),
    /// The store failed.
    #[error("read the stored secrets")]
    Store(#[from] store::Error),
}

/// Reads the key file of a data folder; absent where there is none.
pub(super) fn read(folder: &Path) -> Result<Option<SecretKey>, SecretKeyError> {
    let file = folder.join(KEY_FILE);
    let failed = |source| SecretKeyError::File {
        file: file.clone(),
        source,
    };
    let dir = Dir::open_ambient_dir(folder, ambient_authority()).map_err(failed)?;
    let opened = match dir.open(KEY_FILE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if opened.metadata().map_err(failed)?.mode() & 0o077 != 0 {
        return Err(SecretKeyError::Exposed { file });
    }
    let mut bytes = Zeroizing::new(Vec::new());
    opened
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let key = std::str::from_utf8(&bytes).ok().and_then(SecretKey::parse);
    key.map(Some).ok_or(SecretKeyError::Damaged { file })
}

/// Makes up a key and keeps it, on disk when this returns.
pub(super) fn make(folder: &Path) -> Result<SecretKey, SecretKeyError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice()).map_err(SecretKeyError::Random)?;
    let key = SecretKey::new(*bytes);
    write(folder, &key).map_err(|source| SecretKeyError::File {
        file: folder.join(KEY_FILE),
        source,
    })?;
    Ok(key)
}

fn write(folder: &Path, key: &SecretKey) -> io::Result<()> {
    let dir = Dir::open_ambient_dir(folder, ambient_authority())?;
    // Under another name until it is complete: a part of a key would be refused at the next start.
    let partial = format!("{KEY_FILE}.partial");
    match dir.remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = dir.open_with(&partial, &options)?;
    file.write_all(key.render().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    dir.rename(&partial, &dir, KEY_FILE)?;
    dir.open(".")?.sync_all()
}
