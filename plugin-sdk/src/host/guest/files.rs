//! Granted folders, reached through the component's imports.

use crate::Context;
use crate::bindings::goldenpath::plugin::files as wit;
use crate::files::{Entry, Error, Kind, WriteMode};

#[derive(Debug)]
pub(crate) struct RawReader(wit::Reader);

impl RawReader {
    pub(crate) fn read(&mut self, max: u32) -> Result<Vec<u8>, Error> {
        self.0.read(max).map_err(Error::from)
    }
}

#[derive(Debug)]
pub(crate) struct RawWriter(wit::Writer);

impl RawWriter {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.0.write(bytes).map_err(Error::from)
    }

    pub(crate) fn finish(self) -> Result<(), Error> {
        self.0.finish().map_err(Error::from)
    }
}

pub(crate) fn open_reader(_: &Context, folder: &str, path: &str) -> Result<RawReader, Error> {
    wit::open_reader(folder, path)
        .map(RawReader)
        .map_err(Error::from)
}

pub(crate) fn open_writer(
    _: &Context,
    folder: &str,
    path: &str,
    mode: WriteMode,
) -> Result<RawWriter, Error> {
    let mode = match mode {
        WriteMode::Create => wit::WriteMode::Create,
        WriteMode::Replace => wit::WriteMode::Replace,
    };
    wit::open_writer(folder, path, mode)
        .map(RawWriter)
        .map_err(Error::from)
}

pub(crate) fn stat(_: &Context, folder: &str, path: &str) -> Result<Entry, Error> {
    wit::stat(folder, path)
        .map(Entry::from)
        .map_err(Error::from)
}

pub(crate) fn list(_: &Context, folder: &str, path: &str) -> Result<Vec<Entry>, Error> {
    Ok(wit::list(folder, path)?
        .into_iter()
        .map(Entry::from)
        .collect())
}

pub(crate) fn remove(_: &Context, folder: &str, path: &str) -> Result<(), Error> {
    wit::remove(folder, path).map_err(Error::from)
}

pub(crate) fn remove_all(_: &Context, folder: &str, path: &str) -> Result<(), Error> {
    wit::remove_all(folder, path).map_err(Error::from)
}

pub(crate) fn rename(_: &Context, folder: &str, from: &str, to: &str) -> Result<(), Error> {
    wit::rename(folder, from, to).map_err(Error::from)
}

impl From<wit::Entry> for Entry {
    fn from(entry: wit::Entry) -> Self {
        let kind = match entry.kind {
            wit::Kind::File => Kind::File,
            wit::Kind::Directory => Kind::Directory,
            wit::Kind::Other => Kind::Other,
        };
        Self {
            name: entry.name,
            kind,
            size: entry.size,
        }
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(denial) => Self::Denied(super::denial(denial)),
            wit::Error::NotFound(path) => Self::NotFound(path),
            wit::Error::AlreadyExists(path) => Self::AlreadyExists(path),
            wit::Error::WrongKind(text) => Self::WrongKind(text),
            wit::Error::InvalidPath(text) => Self::InvalidPath(text),
            wit::Error::Quota(text) => Self::Quota(text),
            wit::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
