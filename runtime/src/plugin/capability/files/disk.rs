//! Steps on disk, each of one name below an open folder, none of them through a link.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::path::FilePath;
use super::quota::Usage;
use super::{Entry, Kind, Refusal};

/// Folders in folders that the host walks when it counts or removes.
const WALKED_DEPTH: usize = 128;

/// Opens one name as a folder; a link is not one.
pub(super) fn open_folder(parent: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

pub(super) fn entry(parent: BorrowedFd<'_>, name: &OsStr) -> Result<Entry, Errno> {
    let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let (kind, size) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => (Kind::File, u64::try_from(stat.st_size).unwrap_or(0)),
        FileType::Directory => (Kind::Directory, 0),
        _ => (Kind::Other, 0),
    };
    Ok(Entry {
        name: name.to_string_lossy().into_owned(),
        kind,
        size,
    })
}

pub(super) fn names(dir: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    use std::os::unix::ffi::OsStrExt as _;
    let mut names = Vec::new();
    // Opened anew: the folder's own handle may be one that only names it.
    for found in rustix::fs::Dir::new(open_folder(dir, OsStr::new("."))?)? {
        let found = found?;
        let name = OsStr::from_bytes(found.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// Counts what is in a folder, all the way down; `skip` says of each name whether to leave it out.
pub(super) fn count(
    dir: BorrowedFd<'_>,
    usage: &mut Usage,
    depth: usize,
    skip: &mut dyn FnMut(BorrowedFd<'_>, &OsStr) -> bool,
) -> Result<(), Refusal> {
    if depth > WALKED_DEPTH {
        return Err(Refusal::Unavailable(format!(
            "the folder nests deeper than {WALKED_DEPTH} levels"
        )));
    }
    let failed = |error: Errno| unavailable(&error.into());
    for name in names(dir).map_err(failed)? {
        if skip(dir, &name) {
            continue;
        }
        let Ok(found) = entry(dir, &name) else {
            continue;
        };
        usage.bytes = usage.bytes.saturating_add(found.size);
        usage.files = usage.files.saturating_add(1);
        if found.kind == Kind::Directory {
            let inner = open_folder(dir, &name).map_err(failed)?;
            count(inner.as_fd(), usage, depth + 1, skip)?;
        }
    }
    Ok(())
}

/// Removes what is in a folder, all the way down, counting what is gone.
pub(super) fn empty(
    dir: BorrowedFd<'_>,
    freed: &mut Usage,
    depth: usize,
    path: &FilePath,
) -> Result<(), Refusal> {
    if depth > WALKED_DEPTH {
        return Err(Refusal::Unavailable(format!(
            "`{path}` nests deeper than {WALKED_DEPTH} levels"
        )));
    }
    for name in names(dir).map_err(|e| refusal(e, path))? {
        let found = match entry(dir, &name) {
            Ok(found) => found,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(refusal(error, path)),
        };
        let flags = if found.kind == Kind::Directory {
            let inner = open_folder(dir, &name).map_err(|e| refusal(e, path))?;
            empty(inner.as_fd(), freed, depth + 1, path)?;
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        match rustix::fs::unlinkat(dir, &name, flags) {
            Ok(()) => {
                freed.bytes = freed.bytes.saturating_add(found.size);
                freed.files += 1;
            }
            Err(Errno::NOENT) => {}
            Err(error) => return Err(refusal(error, path)),
        }
    }
    Ok(())
}

/// Moves without ever replacing.
pub(super) fn rename_new(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new_name: &str,
) -> Result<(), Errno> {
    rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE)
}

pub(super) fn refusal(error: Errno, path: &FilePath) -> Refusal {
    match error {
        Errno::NOENT => Refusal::NotFound(path.to_string()),
        Errno::EXIST => Refusal::AlreadyExists(path.to_string()),
        Errno::NOTDIR | Errno::LOOP | Errno::MLINK => Refusal::WrongKind(format!(
            "`{path}` leads through something that is not a folder"
        )),
        Errno::ISDIR => Refusal::WrongKind(format!("`{path}` is a folder")),
        Errno::NOTEMPTY => Refusal::WrongKind(format!("folder `{path}` is not empty")),
        Errno::NXIO => Refusal::WrongKind(format!("`{path}` is not a file")),
        Errno::NAMETOOLONG | Errno::INVAL => {
            Refusal::InvalidPath(format!("`{path}` is not a path on this host"))
        }
        Errno::DQUOT | Errno::NOSPC => Refusal::Unavailable("the disk is full".to_owned()),
        other => broken(&other.into(), path),
    }
}

pub(super) fn broken(error: &std::io::Error, path: &FilePath) -> Refusal {
    tracing::warn!(%error, %path, "the disk refused a plugin's files");
    Refusal::Unavailable(format!("`{path}` cannot be used on the host now"))
}

pub(super) fn unavailable(error: &std::io::Error) -> Refusal {
    tracing::warn!(%error, "the disk refused a plugin's files");
    Refusal::Unavailable("the disk cannot do it now".to_owned())
}
