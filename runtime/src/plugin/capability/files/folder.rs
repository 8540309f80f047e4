//! A granted folder on disk. Every step down is one name, opened without following links: no path, however raced,
//! leads out of it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::disk::{
    broken, count, empty, entry, names, open_folder, refusal, rename_new, unavailable,
};
use super::path::{FilePath, PARTIAL};
use super::place::{self, Misplaced};
use super::quota::{Quota, Usage};
use super::{Entry, Kind, Refusal};
use crate::model::PluginName;

/// Names that one listing holds.
const LISTED: usize = 10_000;

/// The granted folders that calls have open right now: those of one folder share its count.
#[derive(Debug)]
pub(crate) struct Folders {
    data_dir: PathBuf,
    /// Tells this process's unfinished files from those that a crash left.
    token: String,
    open: Mutex<HashMap<PathBuf, Weak<Shared>>>,
}

#[derive(Debug)]
struct Shared {
    dir: Dir,
    quota: Quota,
    token: String,
    next: AtomicU64,
}

/// One granted folder as one call sees it.
#[derive(Debug)]
pub(crate) struct Folder {
    shared: Arc<Shared>,
    most: Usage,
}

/// What finishing a file does with one that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Refuse.
    Keep,
    /// Replace it.
    Replace,
}

impl From<bool> for Existing {
    fn from(replace: bool) -> Self {
        if replace { Self::Replace } else { Self::Keep }
    }
}

impl Folders {
    /// The folders below `files/` of a data folder.
    pub(crate) fn new(data_dir: &Path, token: String) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            token,
            open: Mutex::default(),
        }
    }

    /// Whether a path is written as that of a bound folder has to be.
    pub(in crate::plugin) fn check_form(path: &str) -> Result<(), Misplaced> {
        place::check_form(Path::new(path))
    }

    /// Whether a folder may be bound to a path. Looks at the disk, so not on an async thread.
    pub(in crate::plugin) fn check(&self, path: &str) -> Result<(), Misplaced> {
        place::check_path(Path::new(path), &self.data_dir)
    }

    /// Opens a folder of a plugin: the bound one, else its own in the data folder, which is made where it is missing.
    pub(super) fn open(
        &self,
        plugin: &PluginName,
        name: &str,
        bound: Option<&str>,
        max_bytes: u64,
        max_files: u64,
    ) -> Result<Arc<Folder>, Refusal> {
        let path = match bound {
            Some(path) => PathBuf::from(path),
            None => self.data_dir.join("files").join(plugin.as_str()).join(name),
        };
        let most = Usage {
            bytes: max_bytes,
            files: max_files,
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, folder| folder.strong_count() > 0);
        if let Some(shared) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(Arc::new(Folder { shared, most }));
        }
        let failed = |error: std::io::Error| {
            tracing::error!(%error, folder = %path.display(), "a granted folder cannot be opened");
            Refusal::Unavailable(format!("folder `{name}` cannot be opened on the host"))
        };
        if bound.is_none() {
            Dir::create_ambient_dir_all(&path, ambient_authority()).map_err(failed)?;
        }
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(failed)?;
        if bound.is_some()
            && let Err(why) = place::check(&dir, &self.data_dir)
        {
            tracing::error!(%why, folder = %path.display(), "a bound folder is refused");
            return Err(Refusal::Unavailable(format!(
                "folder `{name}` may not be where it is bound to on the host"
            )));
        }
        let mut usage = Usage::default();
        count(dir.as_fd(), &mut usage, 0, &mut |parent, found| {
            self.remove_leftover(parent, found)
        })?;
        let shared = Arc::new(Shared {
            dir,
            quota: Quota::new(usage),
            token: self.token.clone(),
            next: AtomicU64::new(0),
        });
        open.insert(path, Arc::downgrade(&shared));
        Ok(Arc::new(Folder { shared, most }))
    }

    /// Removes an unfinished file of a process that is gone; whether it was one.
    fn remove_leftover(&self, parent: BorrowedFd<'_>, name: &OsStr) -> bool {
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PARTIAL)) else {
            return false;
        };
        if !rest.starts_with(&self.token)
            && let Err(error) = rustix::fs::unlinkat(parent, name, AtFlags::empty())
        {
            tracing::warn!(%error, "an unfinished file of an earlier process cannot be removed");
        }
        true
    }
}

impl Folder {
    pub(super) fn open_reader(&self, path: &FilePath) -> Result<Reader, Refusal> {
        let (parent, name) = self.parent(path)?;
        // Non-blocking: opening a pipe would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::openat(&parent, name, flags, Mode::empty())
            .map_err(|e| refusal(e, path))?;
        let stat = rustix::fs::fstat(&file).map_err(|e| refusal(e, path))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Reader {
                file: Arc::new(Mutex::new(File::from(file))),
            }),
            _ => Err(Refusal::WrongKind(format!("`{path}` is not a file"))),
        }
    }

    pub(super) fn open_writer(
        folder: &Arc<Self>,
        path: &FilePath,
        existing: Existing,
    ) -> Result<Writer, Refusal> {
        let (folders, name) = path
            .split()
            .ok_or_else(|| Refusal::InvalidPath("the path is empty".to_owned()))?;
        let parent = folder.make_folders(folders, path)?;
        folder.refuse_taken(&parent, name, path, existing)?;
        folder
            .shared
            .quota
            .take(Usage { bytes: 0, files: 1 }, folder.most)?;
        let number = folder.shared.next.fetch_add(1, Ordering::Relaxed);
        let partial = format!("{PARTIAL}{}-{number}", folder.shared.token);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(&parent, &partial, flags, Mode::from_raw_mode(0o644));
        let file = opened.map_err(|e| {
            folder.shared.quota.give_back(Usage { bytes: 0, files: 1 });
            refusal(e, path)
        })?;
        let unfinished = Unfinished {
            folder: Arc::clone(folder),
            parent,
            file: Some(File::from(file)),
            partial,
            path: path.clone(),
            name: name.to_owned(),
            existing,
            written: 0,
            tail: Vec::new(),
        };
        Ok(Writer {
            state: Arc::new(Mutex::new(unfinished)),
        })
    }

    pub(super) fn stat(&self, path: &FilePath) -> Result<Entry, Refusal> {
        let (parent, name) = self.parent(path)?;
        entry(parent.as_fd(), OsStr::new(name)).map_err(|e| refusal(e, path))
    }

    pub(super) fn list(&self, path: &FilePath) -> Result<Vec<Entry>, Refusal> {
        let dir = self.descend(path.segments(), path)?;
        let mut entries = Vec::new();
        for found in names(dir.as_fd()).map_err(|e| refusal(e, path))? {
            // A name that is no text cannot be told to the guest; neither can it be made by one.
            let Some(name) = found.to_str().filter(|name| !name.starts_with(PARTIAL)) else {
                continue;
            };
            if entries.len() >= LISTED {
                return Err(Refusal::Quota(format!(
                    "the folder has more than {LISTED} names, the most that are listed"
                )));
            }
            match entry(dir.as_fd(), OsStr::new(name)) {
                Ok(entry) => entries.push(entry),
                // Gone since it was listed.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(refusal(error, path)),
            }
        }
        entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) fn remove(&self, path: &FilePath) -> Result<(), Refusal> {
        let (parent, name) = self.parent(path)?;
        let entry = entry(parent.as_fd(), OsStr::new(name)).map_err(|e| refusal(e, path))?;
        let flags = if entry.kind == Kind::Directory {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        rustix::fs::unlinkat(&parent, name, flags).map_err(|e| refusal(e, path))?;
        self.shared.quota.give_back(Usage {
            bytes: entry.size,
            files: 1,
        });
        Ok(())
    }

    pub(super) fn remove_all(&self, path: &FilePath) -> Result<(), Refusal> {
        let (parent, name) = self.parent(path)?;
        let entry = entry(parent.as_fd(), OsStr::new(name)).map_err(|e| refusal(e, path))?;
        if entry.kind != Kind::Directory {
            return self.remove(path);
        }
        let mut freed = Usage::default();
        let emptied = open_folder(parent.as_fd(), OsStr::new(name)).map_err(|e| refusal(e, path));
        let emptied = emptied.and_then(|dir| empty(dir.as_fd(), &mut freed, 0, path));
        let removed = emptied.and_then(|()| {
            rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR).map_err(|e| refusal(e, path))
        });
        if removed.is_ok() {
            freed.files += 1;
        }
        // Also where it stopped half-way: what is gone is gone.
        self.shared.quota.give_back(freed);
        removed
    }

    pub(super) fn rename(&self, from: &FilePath, to: &FilePath) -> Result<(), Refusal> {
        if to.is_within(from) {
            return Err(Refusal::InvalidPath(format!("`{to}` lies within `{from}`")));
        }
        let (source, name) = self.parent(from)?;
        entry(source.as_fd(), OsStr::new(name)).map_err(|e| refusal(e, from))?;
        let (folders, new_name) = to
            .split()
            .ok_or_else(|| Refusal::InvalidPath("the path is empty".to_owned()))?;
        let target = self.make_folders(folders, to)?;
        rename_new(source.as_fd(), name, target.as_fd(), new_name).map_err(|e| refusal(e, to))
    }

    /// The folder that a path's last name stands in.
    fn parent<'p>(&self, path: &'p FilePath) -> Result<(OwnedFd, &'p str), Refusal> {
        let (folders, name) = path
            .split()
            .ok_or_else(|| Refusal::InvalidPath("the path is empty".to_owned()))?;
        Ok((self.descend(folders, path)?, name))
    }

    fn descend(&self, segments: &[String], path: &FilePath) -> Result<OwnedFd, Refusal> {
        let mut dir = self
            .shared
            .dir
            .as_fd()
            .try_clone_to_owned()
            .map_err(|e| broken(&e, path))?;
        for segment in segments {
            dir = open_folder(dir.as_fd(), OsStr::new(segment)).map_err(|e| refusal(e, path))?;
        }
        Ok(dir)
    }

    /// As [`Self::descend`], making the folders that are missing.
    fn make_folders(&self, segments: &[String], path: &FilePath) -> Result<OwnedFd, Refusal> {
        let mut dir = self.descend(&[], path)?;
        for segment in segments {
            let mut next = open_folder(dir.as_fd(), OsStr::new(segment));
            if matches!(next, Err(Errno::NOENT)) {
                self.shared
                    .quota
                    .take(Usage { bytes: 0, files: 1 }, self.most)?;
                if let Err(error) =
                    rustix::fs::mkdirat(&dir, segment.as_str(), Mode::from_raw_mode(0o755))
                {
                    self.shared.quota.give_back(Usage { bytes: 0, files: 1 });
                    // Made by somebody else in between: just as good.
                    if error != Errno::EXIST {
                        return Err(refusal(error, path));
                    }
                }
                next = open_folder(dir.as_fd(), OsStr::new(segment));
            }
            dir = next.map_err(|e| refusal(e, path))?;
        }
        Ok(dir)
    }

    /// Refuses early what `finish` would refuse anyway.
    fn refuse_taken(
        &self,
        parent: &OwnedFd,
        name: &str,
        path: &FilePath,
        existing: Existing,
    ) -> Result<(), Refusal> {
        match entry(parent.as_fd(), OsStr::new(name)) {
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(refusal(error, path)),
            Ok(entry) if entry.kind == Kind::File && existing == Existing::Replace => Ok(()),
            Ok(entry) if existing == Existing::Replace => Err(Refusal::WrongKind(format!(
                "`{path}` is not a file but {}",
                entry.kind.in_words()
            ))),
            Ok(_) => Err(Refusal::AlreadyExists(path.to_string())),
        }
    }
}

/// A file being read. Clones share its position.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "generated code re-exports it")]
pub struct Reader {
    file: Arc<Mutex<File>>,
}

impl Reader {
    pub(super) fn read(&self, most: usize) -> Result<Vec<u8>, Refusal> {
        let mut bytes = Vec::new();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        std::io::Read::take(&mut *file, most as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| unavailable(&e))?;
        Ok(bytes)
    }
}

/// A file being written. Clones share it; dropped by the last of them unfinished, nothing of it remains.
#[derive(Clone, Debug)]
#[expect(unreachable_pub, reason = "generated code re-exports it")]
pub struct Writer {
    state: Arc<Mutex<Unfinished>>,
}

#[derive(Debug)]
struct Unfinished {
    folder: Arc<Folder>,
    parent: OwnedFd,
    /// `None` once finished or given up.
    file: Option<File>,
    partial: String,
    path: FilePath,
    name: String,
    existing: Existing,
    written: u64,
    /// The end of what was written: a secret may be cut between two writes.
    tail: Vec<u8>,
}

impl Writer {
    /// The end of what was written, as it was last remembered.
    pub(super) fn tail(&self) -> Vec<u8> {
        let unfinished = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.tail.clone()
    }

    /// Remembers the end of what is about to be written.
    pub(super) fn remember(&self, tail: Vec<u8>) {
        let mut unfinished = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        unfinished.tail = tail;
    }

    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut unfinished = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Unfinished {
            folder,
            file: Some(file),
            written,
            ..
        } = &mut *unfinished
        else {
            return Err(Refusal::WrongKind("the file is finished".to_owned()));
        };
        let size = bytes.len() as u64;
        folder.shared.quota.take(
            Usage {
                bytes: size,
                files: 0,
            },
            folder.most,
        )?;
        // Counted even where the disk stops half-way; the room comes back with the file.
        *written += size;
        file.write_all(bytes).map_err(|e| unavailable(&e))
    }

    pub(super) fn finish(&self) -> Result<(), Refusal> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .finish()
    }
}

impl Unfinished {
    fn finish(&mut self) -> Result<(), Refusal> {
        if self.file.is_none() {
            return Err(Refusal::WrongKind("the file is finished".to_owned()));
        }
        let parent = self.parent.as_fd();
        match self.existing {
            Existing::Keep => rename_new(parent, &self.partial, parent, &self.name)
                .map_err(|e| refusal(e, &self.path))?,
            Existing::Replace => {
                let before = entry(parent, OsStr::new(&self.name)).ok();
                if let Some(other) = before.as_ref().filter(|entry| entry.kind != Kind::File) {
                    return Err(Refusal::WrongKind(format!(
                        "`{}` is not a file but {}",
                        self.path,
                        other.kind.in_words()
                    )));
                }
                rustix::fs::renameat(parent, &self.partial, parent, &self.name)
                    .map_err(|e| refusal(e, &self.path))?;
                if let Some(before) = before {
                    self.folder.shared.quota.give_back(Usage {
                        bytes: before.size,
                        files: 1,
                    });
                }
            }
        }
        self.file = None;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.file.take().is_none() {
            return;
        }
        match rustix::fs::unlinkat(&self.parent, &self.partial, AtFlags::empty()) {
            Ok(()) => self.folder.shared.quota.give_back(Usage {
                bytes: self.written,
                files: 1,
            }),
            Err(error) => tracing::warn!(%error, "an unfinished file cannot be removed"),
        }
    }
}

impl Kind {
    fn in_words(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a folder",
            Self::Other => "a link or special file",
        }
    }
}
