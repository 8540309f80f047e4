//! The file that a backup is: a tar with `manifest.json` first, then the databases and the key of the secrets, in the
//! order of the manifest.

use std::io::{self, Read, Seek as _, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::RestoreError;
use crate::model::Timestamp;
use crate::store::{FILES, FORMATS, KEY_FILE};

/// What the file says it is.
const KIND: &str = "goldenpath-backup";

/// The form of the file; a reader takes no newer one.
const VERSION: u32 = 1;

/// Name of the first entry.
const MANIFEST: &str = "manifest.json";

/// A manifest is a few hundred bytes.
const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// A tar is made of blocks of that many bytes.
const BLOCK: u64 = 512;

/// What a backup holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    kind: String,
    version: u32,
    /// Version of the program that took it.
    pub goldenpath: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// By whom.
    pub taken_by: String,
    /// Formats of the databases.
    pub formats: FormatNumbers,
    /// Newest row of its audit log, as `sequence:hash`.
    pub newest_audit: String,
    /// The files, in order.
    pub files: Vec<FileEntry>,
}

/// Formats of the databases in a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatNumbers {
    main: usize,
    logs: usize,
}

/// One file in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    pub(super) fn new(
        taken_at: Timestamp,
        taken_by: String,
        newest_audit: String,
        files: Vec<FileEntry>,
    ) -> Self {
        Self {
            kind: KIND.to_owned(),
            version: VERSION,
            goldenpath: env!("CARGO_PKG_VERSION").to_owned(),
            taken_at,
            taken_by,
            formats: FormatNumbers {
                main: FORMATS.main,
                logs: FORMATS.logs,
            },
            newest_audit,
            files,
        }
    }

    fn check(&self) -> Result<(), RestoreError> {
        if self.kind != KIND {
            return Err(RestoreError::damaged("its manifest is not one of a backup"));
        }
        if self.version > VERSION
            || self.formats.main > FORMATS.main
            || self.formats.logs > FORMATS.logs
        {
            return Err(RestoreError::Newer(self.goldenpath.clone()));
        }
        let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        // There is no key where no secret was ever set, or where a setting brings it.
        let databases = names.strip_suffix(&[KEY_FILE]).unwrap_or(&names);
        if databases != FILES {
            let message = format!(
                "its manifest names {} instead of {}",
                names.join(", "),
                FILES.join(", ")
            );
            return Err(RestoreError::damaged(message));
        }
        Ok(())
    }
}

/// Bytes of a whole archive.
pub(super) fn size(manifest: &Manifest) -> io::Result<u64> {
    let text = serde_json::to_vec(manifest)?.len() as u64;
    let sizes = manifest.files.iter().map(|file| file.size).chain([text]);
    let entries: u64 = sizes.map(|size| BLOCK + size.div_ceil(BLOCK) * BLOCK).sum();
    Ok(entries + 2 * BLOCK)
}

/// Writes a whole archive.
pub(super) fn write(
    manifest: &Manifest,
    files: Vec<std::fs::File>,
    to: impl Write,
) -> io::Result<()> {
    let mut archive = tar::Builder::new(to);
    let text = serde_json::to_vec(manifest)?;
    let seconds = manifest.taken_at.0.unsigned_abs() / 1_000;
    let header = |size: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(seconds);
        header
    };
    archive.append_data(&mut header(text.len() as u64), MANIFEST, text.as_slice())?;
    for (entry, file) in manifest.files.iter().zip(files) {
        archive.append_data(&mut header(entry.size), &entry.name, file.take(entry.size))?;
    }
    archive.finish()
}

/// Length and SHA-256 of a file, which is read again from its beginning afterwards.
pub(super) fn hash_file(file: &mut std::fs::File) -> io::Result<(u64, String)> {
    file.rewind()?;
    let mut hash = Hashing::new(io::sink());
    let size = io::copy(file, &mut hash)?;
    file.rewind()?;
    Ok((size, hash.finish()))
}

/// Reads a whole archive and holds it against its own manifest.
///
/// # Errors
/// It is damaged or incomplete, or of a newer version.
pub fn verify_archive(archive: impl Read) -> Result<Manifest, RestoreError> {
    read(archive, |_| Ok(io::sink()))
}

/// Reads an archive, writing each file to where `open` says. Whoever calls throws all of it away on an error.
pub(super) fn read<W: Write>(
    archive: impl Read,
    mut open: impl FnMut(&str) -> io::Result<W>,
) -> Result<Manifest, RestoreError> {
    let mut archive = tar::Archive::new(archive);
    let mut entries = archive.entries().map_err(RestoreError::unreadable)?;
    let mut next = || -> Result<_, RestoreError> {
        match entries.next() {
            None => Ok(None),
            Some(entry) => {
                let entry = entry.map_err(RestoreError::unreadable)?;
                if entry.header().entry_type() != tar::EntryType::Regular {
                    return Err(RestoreError::damaged("it holds something else than files"));
                }
                let name = entry.path_bytes().into_owned();
                Ok(Some((String::from_utf8_lossy(&name).into_owned(), entry)))
            }
        }
    };
    let Some((name, entry)) = next()? else {
        return Err(RestoreError::damaged("it is empty"));
    };
    if name != MANIFEST || entry.size() > MAX_MANIFEST_BYTES {
        return Err(RestoreError::damaged(format!(
            "it does not begin with `{MANIFEST}`"
        )));
    }
    let mut text = Vec::new();
    entry
        .take(MAX_MANIFEST_BYTES)
        .read_to_end(&mut text)
        .map_err(RestoreError::unreadable)?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .map_err(|error| RestoreError::damaged(format!("its manifest cannot be read: {error}")))?;
    manifest.check()?;
    for file in &manifest.files {
        let Some((name, mut entry)) = next()? else {
            return Err(RestoreError::damaged(format!("`{}` is missing", file.name)));
        };
        if name != file.name || entry.size() != file.size {
            return Err(RestoreError::damaged(format!(
                "`{}` with {} bytes should follow, not `{name}` with {}",
                file.name,
                file.size,
                entry.size()
            )));
        }
        let mut hash = Hashing::new(open(&file.name).map_err(RestoreError::Io)?);
        let written = copy(&mut entry, &mut hash)?;
        hash.flush().map_err(RestoreError::Io)?;
        if written != file.size || hash.finish() != file.sha256 {
            return Err(RestoreError::damaged(format!(
                "`{}` is not what was written: its checksum differs",
                file.name
            )));
        }
    }
    match next()? {
        None => Ok(manifest),
        Some((name, _)) => Err(RestoreError::damaged(format!(
            "`{name}` does not belong into it"
        ))),
    }
}

/// As [`io::copy`], but tells reading the archive and writing the files apart.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64, RestoreError> {
    let mut buffer = vec![0; 256 << 10];
    let mut copied = 0;
    loop {
        let read = from.read(&mut buffer).map_err(RestoreError::unreadable)?;
        if read == 0 {
            return Ok(copied);
        }
        to.write_all(buffer.get(..read).unwrap_or_default())
            .map_err(RestoreError::Io)?;
        copied += read as u64;
    }
}

/// Hashes what passes through.
struct Hashing<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn new(to: W) -> Self {
        Self {
            to,
            hash: Sha256::new(),
        }
    }

    fn finish(self) -> String {
        data_encoding::HEXLOWER.encode(&self.hash.finalize())
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
