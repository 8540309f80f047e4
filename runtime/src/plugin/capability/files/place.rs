//! Where a bound folder lies: never where the portal keeps its own data, which holds its keys.
//!
//! Folders are told apart by what they are on disk, not by their names: links and mounts give one folder many names.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

/// Folders between one and the root; no path that the system takes is longer.
const MOST_LEVELS: usize = 2_048;

/// Device and number: what a folder is on disk.
type Identity = (u64, u64);

/// Why a folder cannot be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misplaced {
    /// The path is not absolute, or goes up.
    Path,
    /// It is the data folder, lies in it, or holds it.
    Data,
    /// It cannot be looked at.
    Unknown(Errno),
}

impl From<Errno> for Misplaced {
    fn from(error: Errno) -> Self {
        Self::Unknown(error)
    }
}

impl std::fmt::Display for Misplaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path => f.write_str("write an absolute path without `..`"),
            Self::Data => f.write_str(
                "it is the portal's own data folder, lies in it or holds it; choose one elsewhere, or below its `files/`",
            ),
            Self::Unknown(error) => write!(f, "it cannot be looked at: {error}"),
        }
    }
}

/// Checks how a path is written.
pub(super) fn check_form(path: &Path) -> Result<(), Misplaced> {
    let is_plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    let has_nul = path.as_os_str().as_encoded_bytes().contains(&0);
    if path.is_absolute() && !has_nul && path.components().all(is_plain) {
        return Ok(());
    }
    Err(Misplaced::Path)
}

/// Checks a path before it is bound. One that does not exist yet is where the folder will be that is to hold it.
pub(super) fn check_path(path: &Path, data: &Path) -> Result<(), Misplaced> {
    check_form(path)?;
    for (index, existing) in path.ancestors().enumerate() {
        match open(existing) {
            Ok(folder) if index == 0 => return check(&folder, data),
            // What does not exist yet can lie in the data folder; it cannot hold it.
            Ok(folder) => {
                let above = lineage(&folder)?;
                return lies_outside(&above, &above, data);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Errno::NOENT.into())
}

/// Checks a folder that is open: nothing can be put in its place any more.
pub(super) fn check(folder: impl AsFd, data: &Path) -> Result<(), Misplaced> {
    let above = lineage(&folder)?;
    let holders = above.get(1..).unwrap_or_default();
    lies_outside(&above, holders, data)?;
    let data = lineage(open(data)?)?;
    match above.first() {
        Some(own) if !data.contains(own) => Ok(()),
        _ => Err(Misplaced::Data),
    }
}

/// Whether none of these folders is the data folder, or one of those that hold it is the part for files of plugins.
fn lies_outside(above: &[Identity], holders: &[Identity], data: &Path) -> Result<(), Misplaced> {
    let files = match open(&data.join("files")) {
        Ok(files) => Some(identity(&files)?),
        Err(Errno::NOENT) => None,
        Err(error) => return Err(error.into()),
    };
    if files.is_some_and(|files| holders.contains(&files)) {
        return Ok(());
    }
    let data = identity(open(data)?)?;
    if above.contains(&data) {
        return Err(Misplaced::Data);
    }
    Ok(())
}

/// What a folder is, and all that hold it.
fn lineage(folder: impl AsFd) -> Result<Vec<Identity>, Misplaced> {
    let mut above = vec![identity(&folder)?];
    let mut next = up(&folder)?;
    while above.len() < MOST_LEVELS {
        let found = identity(&next)?;
        // The root holds itself.
        if above.last() == Some(&found) {
            return Ok(above);
        }
        above.push(found);
        next = up(&next)?;
    }
    Err(Errno::LOOP.into())
}

fn open(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, path, flags, Mode::empty())
}

fn up(folder: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, "..", flags, Mode::empty())
}

fn identity(folder: impl AsFd) -> Result<Identity, Errno> {
    let stat = rustix::fs::fstat(folder)?;
    Ok((stat.st_dev, stat.st_ino))
}
