//! Named folders, within the accesses and quotas that were granted.

use std::fmt;
use std::io;

use crate::{Context, Denial, Failure, host};

/// Most bytes that one call of the host carries.
pub const MAX_CHUNK_BYTES: usize = 1024 * 1024;

/// One granted folder; from [`Context::folder`]. Needs `[[capabilities.files]]` of that name.
///
/// A path is relative to the folder, its segments separated by `/`; empty segments, `.`, `..`, a leading `/`, NUL and
/// backslashes are refused, symbolic links are never followed. The empty path is the folder itself.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new().with_folder("services");
/// let services = ctx.folder("services");
/// services.create("orders/README.md", "# orders\n")?;
/// services.rename("orders", "orders-api")?;
/// assert_eq!(services.read_to_string("orders-api/README.md")?, "# orders\n");
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) name: &'a str,
}

impl<'a> Folder<'a> {
    /// The folder's name in `plugin.toml`.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// Reads a whole file as text. Needs `read`.
    ///
    /// # Errors
    /// [`Error::NotUtf8`] where it is not UTF-8, and as [`read`](Self::read).
    pub fn read_to_string(&self, path: &str) -> Result<String, Error> {
        String::from_utf8(self.read(path)?).map_err(|_| Error::NotUtf8(path.to_owned()))
    }

    /// Reads a whole file into memory; [`open`](Self::open) streams one that may be large. Needs `read`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::WrongKind`], [`Error::InvalidPath`], [`Error::Unavailable`].
    pub fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let mut reader = self.open(path)?;
        let mut bytes = Vec::new();
        loop {
            let chunk = reader.read_chunk()?;
            if chunk.is_empty() {
                return Ok(bytes);
            }
            bytes.extend_from_slice(&chunk);
        }
    }

    /// Opens a file for reading from start to end. Needs `read`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn open(&self, path: &str) -> Result<Reader, Error> {
        Ok(Reader {
            raw: host::files::open_reader(self.ctx, self.name, path)?,
            chunk: Vec::new(),
            used: 0,
        })
    }

    /// Writes a new file, whole or not at all, and makes the folders on its path. Needs `read-write`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where something of that name is there, [`Error::Denied`], [`Error::WrongKind`],
    /// [`Error::InvalidPath`], [`Error::Quota`], [`Error::Unavailable`].
    pub fn create(&self, path: &str, contents: impl AsRef<[u8]>) -> Result<(), Error> {
        self.write_all(path, contents.as_ref(), WriteMode::Create)
    }

    /// Writes a file, whole or not at all, in place of one that may be there. Needs `read-write`.
    ///
    /// # Errors
    /// As [`create`](Self::create), but for `AlreadyExists`.
    pub fn replace(&self, path: &str, contents: impl AsRef<[u8]>) -> Result<(), Error> {
        self.write_all(path, contents.as_ref(), WriteMode::Replace)
    }

    /// Opens a new file for writing; it appears with [`Writer::finish`]. Needs `read-write`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn writer(&self, path: &str) -> Result<Writer, Error> {
        self.open_writer(path, WriteMode::Create)
    }

    /// Opens a file for writing that takes the place of one that may be there. Needs `read-write`.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn replacing_writer(&self, path: &str) -> Result<Writer, Error> {
        self.open_writer(path, WriteMode::Replace)
    }

    /// What stands at a path. Needs `read`.
    ///
    /// # Errors
    /// [`Error::Denied`], [`Error::NotFound`], [`Error::WrongKind`], [`Error::InvalidPath`], [`Error::Unavailable`].
    pub fn stat(&self, path: &str) -> Result<Entry, Error> {
        host::files::stat(self.ctx, self.name, path)
    }

    /// Whether anything stands at a path. Needs `read`.
    ///
    /// # Errors
    /// As [`stat`](Self::stat), but for `NotFound`.
    pub fn exists(&self, path: &str) -> Result<bool, Error> {
        match self.stat(path) {
            Ok(_) => Ok(true),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The names in a folder, sorted. Needs `read`.
    ///
    /// # Errors
    /// [`Error::Quota`] above 10,000 names, and as [`stat`](Self::stat).
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, Error> {
        host::files::list(self.ctx, self.name, path)
    }

    /// Removes a file or an empty folder. Needs `read-write`.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for a folder that is not empty, [`Error::Denied`], [`Error::NotFound`],
    /// [`Error::InvalidPath`], [`Error::Unavailable`].
    pub fn remove(&self, path: &str) -> Result<(), Error> {
        host::files::remove(self.ctx, self.name, path)
    }

    /// Removes a file, or a folder with all that is in it. Needs `read-write`.
    ///
    /// # Errors
    /// As [`remove`](Self::remove), but a folder may be full.
    pub fn remove_all(&self, path: &str) -> Result<(), Error> {
        host::files::remove_all(self.ctx, self.name, path)
    }

    /// Moves a file or folder within this folder, in one step; makes the folders on the new path. Needs `read-write`.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] where the new path is taken, [`Error::Denied`], [`Error::NotFound`],
    /// [`Error::WrongKind`], [`Error::InvalidPath`], [`Error::Unavailable`].
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        host::files::rename(self.ctx, self.name, from, to)
    }

    fn open_writer(&self, path: &str, mode: WriteMode) -> Result<Writer, Error> {
        Ok(Writer {
            raw: host::files::open_writer(self.ctx, self.name, path, mode)?,
        })
    }

    fn write_all(&self, path: &str, contents: &[u8], mode: WriteMode) -> Result<(), Error> {
        let mut writer = self.open_writer(path, mode)?;
        writer.write_all(contents)?;
        writer.finish()
    }
}

/// What `finish` does where a file of that name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteMode {
    Create,
    Replace,
}

/// A file being read from start to end; also a [`std::io::Read`].
#[derive(Debug)]
pub struct Reader {
    raw: host::files::RawReader,
    chunk: Vec<u8>,
    used: usize,
}

impl Reader {
    /// The next bytes, at most [`MAX_CHUNK_BYTES`]; empty at the end of the file.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the disk fails.
    pub fn read_chunk(&mut self) -> Result<Vec<u8>, Error> {
        if self.used < self.chunk.len() {
            let rest = self.chunk.split_off(self.used);
            self.chunk.clear();
            self.used = 0;
            return Ok(rest);
        }
        self.raw.read(MAX_CHUNK_BYTES as u32)
    }
}

impl io::Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.used >= self.chunk.len() {
            self.chunk = self
                .raw
                .read(MAX_CHUNK_BYTES as u32)
                .map_err(io::Error::from)?;
            self.used = 0;
        }
        let mut rest = self.chunk.get(self.used..).unwrap_or_default();
        let count = rest.read(buffer)?;
        self.used += count;
        Ok(count)
    }
}

/// A file being written; also a [`std::io::Write`]. Dropped before [`finish`](Self::finish), nothing of it remains.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new().with_folder("reports");
/// let mut writer = ctx.folder("reports").writer("2026.csv")?;
/// writer.write_all(b"service,owner\n")?;
/// writer.write_all(b"orders,payments\n")?;
/// writer.finish()?;
/// assert_eq!(ctx.file("reports", "2026.csv").unwrap().len(), 30);
/// # Ok::<(), Failure>(())
/// ```
#[derive(Debug)]
pub struct Writer {
    raw: host::files::RawWriter,
}

impl Writer {
    /// Appends bytes, however many.
    ///
    /// # Errors
    /// [`Error::Quota`], [`Error::Unavailable`].
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        bytes
            .chunks(MAX_CHUNK_BYTES)
            .try_for_each(|chunk| self.raw.write(chunk))
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`], [`Error::WrongKind`], [`Error::Quota`], [`Error::Unavailable`].
    pub fn finish(self) -> Result<(), Error> {
        self.raw.finish()
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = bytes.get(..MAX_CHUNK_BYTES).unwrap_or(bytes);
        self.raw.write(chunk).map_err(io::Error::from)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// Anything else (link, socket, device): it can be listed and removed, not read.
    Other,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last segment of its path.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Size in bytes; 0 for what is not a file.
    pub size: u64,
}

/// Why a call had no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted.
    Denied(Denial),
    /// Nothing of that name; the text is the path.
    NotFound(String),
    /// Something of that name is there already; the text is the path.
    AlreadyExists(String),
    /// The path leads through or to the wrong kind of thing; the text says which.
    WrongKind(String),
    /// The path is not of the right form; the text says why.
    InvalidPath(String),
    /// The folder's quota of bytes or files would be exceeded; the text says which and how much is left.
    Quota(String),
    /// The disk cannot do it now: full, read-only, an I/O error.
    Unavailable(String),
    /// The file was to be read as text and is not UTF-8; the text is the path.
    NotUtf8(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::NotFound(_) => "not_found",
            Self::AlreadyExists(_) => "already_exists",
            Self::WrongKind(_) => "wrong_kind",
            Self::InvalidPath(_) => "invalid_path",
            Self::Quota(_) => "quota",
            Self::Unavailable(_) => "unavailable",
            Self::NotUtf8(_) => "not_utf8",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, text, after) = match self {
            Self::Denied(denial) => ("", &denial.message, ""),
            Self::NotFound(path) => ("nothing at `", path, "`"),
            Self::AlreadyExists(path) => ("`", path, "` is there already"),
            Self::NotUtf8(path) => ("`", path, "` is not UTF-8 text"),
            Self::WrongKind(text)
            | Self::InvalidPath(text)
            | Self::Quota(text)
            | Self::Unavailable(text) => ("", text, ""),
        };
        f.write_str(before)?;
        f.write_str(text)?;
        f.write_str(after)
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Denied(_) => io::ErrorKind::PermissionDenied,
            Error::NotFound(_) => io::ErrorKind::NotFound,
            Error::AlreadyExists(_) => io::ErrorKind::AlreadyExists,
            Error::WrongKind(_) => io::ErrorKind::Unsupported,
            Error::InvalidPath(_) => io::ErrorKind::InvalidInput,
            Error::Quota(_) => io::ErrorKind::QuotaExceeded,
            Error::Unavailable(_) => io::ErrorKind::Other,
            Error::NotUtf8(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
