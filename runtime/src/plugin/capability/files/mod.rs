//! Named folders, within the granted accesses and quotas.

mod disk;
mod folder;
mod path;
mod place;
mod quota;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use wasmtime::component::Resource;

pub(crate) use self::folder::{Folder, Folders};
#[expect(unreachable_pub, reason = "generated code re-exports them")]
pub use self::folder::{Reader, Writer};
use self::path::FilePath;
pub(crate) use self::place::Misplaced;
use super::{FilesAccess, kept};
use crate::plugin::bindings::files;
use crate::plugin::instance::Guest;

/// Bytes of one read or write.
const CHUNK_BYTES: usize = 1 << 20;

/// Readers and writers of one guest together: each holds a file of the host open.
const OPEN_FILES: usize = 64;

/// Where a secret may not be written, in refusals.
const PLACE: &str = "a folder";

type Answer<T> = Result<T, files::Error>;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Last segment of its path.
    pub(crate) name: String,
    /// What it is.
    pub(crate) kind: Kind,
    /// Bytes; 0 for what is not a file.
    pub(crate) size: u64,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A link, a socket, a device.
    Other,
}

/// Why a folder did not do something. Mirrors the contract's error, without its denial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Nothing there.
    NotFound(String),
    /// Something there already.
    AlreadyExists(String),
    /// The wrong kind of thing there.
    WrongKind(String),
    /// Not a path.
    InvalidPath(String),
    /// Over quota.
    Quota(String),
    /// The disk refuses.
    Unavailable(String),
}

impl From<Refusal> for files::Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound(text) => Self::NotFound(text),
            Refusal::AlreadyExists(text) => Self::AlreadyExists(text),
            Refusal::WrongKind(text) => Self::WrongKind(text),
            Refusal::InvalidPath(text) => Self::InvalidPath(text),
            Refusal::Quota(text) => Self::Quota(text),
            Refusal::Unavailable(text) => Self::Unavailable(text),
        }
    }
}

impl Guest {
    /// The folder, opened, if the access to it was granted.
    async fn folder(
        &mut self,
        name: &str,
        access: FilesAccess,
    ) -> wasmtime::Result<Answer<Arc<Folder>>> {
        self.spend_call()?;
        let granted = self.power.folder(name);
        let granted = granted.filter(|line| line.access >= access);
        let Some(line) = granted else {
            let shown: String = name
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(63)
                .collect();
            let missing = format!(
                "files {} {shown} max-bytes 64MiB max-files 10000",
                access.as_str()
            );
            return Ok(Err(files::Error::Denied(
                self.deny(missing, "[[capabilities.files]]").await,
            )));
        };
        let (max_bytes, max_files) = (line.max_bytes, line.max_files);
        self.tally.narrower(line.place, &line.only_for(access));
        if let Some(folder) = self.folders.get(name) {
            return Ok(Ok(Arc::clone(folder)));
        }
        let folders = Arc::clone(&self.backend()?.folders);
        let (plugin, bound) = (
            self.caller.plugin.clone(),
            self.power.folders.get(name).cloned(),
        );
        let wanted = name.to_owned();
        let opened = blocking(move || {
            folders.open(&plugin, &wanted, bound.as_deref(), max_bytes, max_files)
        })
        .await;
        Ok(match opened {
            Ok(folder) => {
                self.folders.insert(name.to_owned(), Arc::clone(&folder));
                Ok(folder)
            }
            Err(refusal) => Err(refusal.into()),
        })
    }

    /// Does one thing in a folder, away from the async threads.
    async fn in_folder<T: Send + 'static>(
        &mut self,
        name: &str,
        access: FilesAccess,
        work: impl FnOnce(&Arc<Folder>) -> Result<T, Refusal> + Send + 'static,
    ) -> wasmtime::Result<Answer<T>> {
        Ok(match self.folder(name, access).await? {
            Ok(_) if access == FilesAccess::ReadWrite && self.pages.effect().await.is_err() => {
                Err(unjournalled())
            }
            Ok(folder) => blocking(move || work(&folder)).await.map_err(Into::into),
            Err(refusal) => Err(refusal),
        })
    }

    fn room_for_a_file(&self) -> Answer<()> {
        if self.open_files < OPEN_FILES {
            return Ok(());
        }
        Err(files::Error::Quota(format!(
            "{OPEN_FILES} files are open; close one first"
        )))
    }
}

fn unjournalled() -> files::Error {
    files::Error::Unavailable("the run's journal cannot be written now".to_owned())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::Unavailable("the host failed".to_owned())))
}

impl files::Host for Guest {
    async fn open_reader(
        &mut self,
        folder: String,
        path: String,
    ) -> wasmtime::Result<Answer<Resource<Reader>>> {
        if let Err(refusal) = self.room_for_a_file() {
            return Ok(Err(refusal));
        }
        let work = move |folder: &Arc<Folder>| folder.open_reader(&FilePath::parse(&path)?);
        Ok(
            match self.in_folder(&folder, FilesAccess::Read, work).await? {
                Ok(reader) => {
                    self.open_files += 1;
                    Ok(self.table.push(reader)?)
                }
                Err(refusal) => Err(refusal),
            },
        )
    }

    async fn open_writer(
        &mut self,
        folder: String,
        path: String,
        mode: files::WriteMode,
    ) -> wasmtime::Result<Answer<Resource<Writer>>> {
        if let Err(refusal) = self.room_for_a_file() {
            return Ok(Err(refusal));
        }
        if let Some(denial) = self.refuse_secrets(PLACE, [path.as_bytes()]).await {
            return Ok(Err(files::Error::Denied(denial)));
        }
        let replace = matches!(mode, files::WriteMode::Replace);
        let work = move |folder: &Arc<Folder>| {
            Folder::open_writer(folder, &FilePath::parse(&path)?, replace.into())
        };
        Ok(
            match self
                .in_folder(&folder, FilesAccess::ReadWrite, work)
                .await?
            {
                Ok(writer) => {
                    self.open_files += 1;
                    Ok(self.table.push(writer)?)
                }
                Err(refusal) => Err(refusal),
            },
        )
    }

    async fn stat(
        &mut self,
        folder: String,
        path: String,
    ) -> wasmtime::Result<Answer<files::Entry>> {
        let work = move |folder: &Arc<Folder>| folder.stat(&FilePath::parse(&path)?);
        Ok(self
            .in_folder(&folder, FilesAccess::Read, work)
            .await?
            .map(Into::into))
    }

    async fn list(
        &mut self,
        folder: String,
        path: String,
    ) -> wasmtime::Result<Answer<Vec<files::Entry>>> {
        let work = move |folder: &Arc<Folder>| folder.list(&FilePath::parse_folder(&path)?);
        let listed = self.in_folder(&folder, FilesAccess::Read, work).await?;
        Ok(listed.map(|entries| entries.into_iter().map(Into::into).collect()))
    }

    async fn remove(&mut self, folder: String, path: String) -> wasmtime::Result<Answer<()>> {
        let work = move |folder: &Arc<Folder>| folder.remove(&FilePath::parse(&path)?);
        self.in_folder(&folder, FilesAccess::ReadWrite, work).await
    }

    async fn remove_all(&mut self, folder: String, path: String) -> wasmtime::Result<Answer<()>> {
        let work = move |folder: &Arc<Folder>| folder.remove_all(&FilePath::parse(&path)?);
        self.in_folder(&folder, FilesAccess::ReadWrite, work).await
    }

    async fn rename(
        &mut self,
        folder: String,
        from: String,
        to: String,
    ) -> wasmtime::Result<Answer<()>> {
        if let Some(denial) = self.refuse_secrets(PLACE, [to.as_bytes()]).await {
            return Ok(Err(files::Error::Denied(denial)));
        }
        let work = move |folder: &Arc<Folder>| {
            folder.rename(&FilePath::parse(&from)?, &FilePath::parse(&to)?)
        };
        self.in_folder(&folder, FilesAccess::ReadWrite, work).await
    }
}

impl files::HostReader for Guest {
    async fn read(
        &mut self,
        reader: Resource<Reader>,
        max: u32,
    ) -> wasmtime::Result<Answer<Vec<u8>>> {
        self.spend_call()?;
        let reader = self.table.get(&reader)?.clone();
        let most = usize::try_from(max).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        Ok(blocking(move || reader.read(most))
            .await
            .map_err(Into::into))
    }

    async fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        self.open_files = self.open_files.saturating_sub(1);
        Ok(())
    }
}

impl files::HostWriter for Guest {
    async fn write(
        &mut self,
        writer: Resource<Writer>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        if bytes.len() > CHUNK_BYTES {
            return Ok(Err(files::Error::Quota(format!(
                "one write takes at most {CHUNK_BYTES} bytes, not {}",
                bytes.len()
            ))));
        }
        let writer = self.table.get(&writer)?.clone();
        let (found, tail) = kept::find_across(self.book.redactor(), &writer.tail(), &bytes);
        if let Some(denial) = self.refuse_secret(PLACE, found).await {
            return Ok(Err(files::Error::Denied(denial)));
        }
        writer.remember(tail);
        Ok(blocking(move || writer.write(&bytes))
            .await
            .map_err(Into::into))
    }

    async fn finish(&mut self, writer: Resource<Writer>) -> wasmtime::Result<Answer<()>> {
        self.spend_call()?;
        let writer = self.table.get(&writer)?.clone();
        // It may have been opened in a step that has ended.
        if self.pages.effect().await.is_err() {
            return Ok(Err(unjournalled()));
        }
        Ok(blocking(move || writer.finish()).await.map_err(Into::into))
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        let writer = self.table.delete(writer)?;
        self.open_files = self.open_files.saturating_sub(1);
        // Removing what was not finished touches the disk.
        Ok(tokio::task::spawn_blocking(move || drop(writer)).await?)
    }
}

impl From<Entry> for files::Entry {
    fn from(entry: Entry) -> Self {
        let kind = match entry.kind {
            Kind::File => files::Kind::File,
            Kind::Directory => files::Kind::Directory,
            Kind::Other => files::Kind::Other,
        };
        Self {
            name: entry.name,
            kind,
            size: entry.size,
        }
    }
}
