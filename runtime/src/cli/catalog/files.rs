//! Finds the documents of a folder. Reads nothing outside of it, however its links point.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::super::exit::Failure;
use crate::catalog::{Document, MAX_DOCUMENTS, is_document, locate, parse_documents};
use crate::config;

/// One document; the server's own limit for a body.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// Deeper folders are a mistake, or a trap.
const MAX_DEPTH: usize = 16;

/// As many broken files as a person reads.
pub(super) const MAX_ERRORS: usize = 100;

/// The documents of a folder or of one file, and where they were found.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) documents: Vec<Document>,
    place: Place,
    /// The name of the folder or file, with which every source begins.
    name: String,
}

#[derive(Debug)]
enum Place {
    Folder(Dir),
    File(std::path::PathBuf),
}

impl Files {
    /// Reads all documents.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        // `.` and `..` have no name of their own, and the name of the folder says what lies in it.
        let absolute = path
            .canonicalize()
            .map_err(|error| Failure::of(format!("read `{}`", path.display()), &error))?;
        let name = absolute
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut found = Found::default();
        let place = if absolute.is_dir() {
            let dir = Dir::open_ambient_dir(&absolute, ambient_authority())
                .map_err(|error| Failure::of(format!("read `{}`", path.display()), &error))?;
            found.walk(&dir, &name, 0)?;
            Place::Folder(dir)
        } else if is_document(&name) {
            found.count = 1;
            match config::read_file(&absolute, MAX_FILE_BYTES) {
                Ok(bytes) => found.parse(&name, &bytes),
                Err(error) => found.errors.push(format!("{name}: {error}")),
            }
            Place::File(absolute)
        } else {
            return Err(Failure::usage(format!(
                "`{name}` is neither a folder nor a .json or .yaml file"
            )));
        };
        if !found.errors.is_empty() {
            let count = found.errors.len();
            let failure = Failure::failed(format!(
                "{count} file(s) cannot be read as documents; nothing was applied"
            ));
            found.errors.truncate(MAX_ERRORS);
            return Err(failure.with_details(found.errors));
        }
        if found.documents.is_empty() {
            return Err(Failure::usage(format!(
                "`{}` has no .json or .yaml document",
                path.display()
            )));
        }
        Ok(Self {
            documents: found.documents,
            place,
            name,
        })
    }

    /// The line of a place in a document, where the file still tells it.
    pub(super) fn line(&self, document: &Document, pointer: &str) -> Option<usize> {
        let source = document.source.as_str();
        let path = source
            .split_once(" (document ")
            .map_or(source, |(path, _)| path);
        let bytes = match &self.place {
            Place::File(file) => config::read_file(file, MAX_FILE_BYTES).ok()?,
            Place::Folder(dir) => {
                let below = path.strip_prefix(&self.name)?.strip_prefix('/')?;
                read_bounded(dir, below).ok()?
            }
        };
        locate(std::str::from_utf8(&bytes).ok()?, document.number, pointer)
    }
}

#[derive(Default)]
struct Found {
    documents: Vec<Document>,
    errors: Vec<String>,
    count: usize,
}

impl Found {
    fn walk(&mut self, dir: &Dir, place: &str, depth: usize) -> Result<(), Failure> {
        let reading = |error: io::Error| Failure::of(format!("read folder `{place}`"), &error);
        if depth > MAX_DEPTH {
            return Err(Failure::failed(format!(
                "`{place}` lies more than {MAX_DEPTH} folders deep"
            )));
        }
        let mut entries = Vec::new();
        for entry in dir.entries().map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push((name, entry));
        }
        // The order of a folder is the disk's; ours is the same on every machine.
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (name, entry) in entries {
            if name.starts_with('.') {
                continue;
            }
            let below = format!("{place}/{name}");
            if entry.file_type().map_err(reading)?.is_dir() {
                self.walk(&entry.open_dir().map_err(reading)?, &below, depth + 1)?;
            } else if is_document(&name) {
                self.count += 1;
                if self.count > MAX_DOCUMENTS {
                    return Err(Failure::failed(format!(
                        "more than {MAX_DOCUMENTS} files; apply the folders one by one"
                    )));
                }
                match read_bounded(dir, &name) {
                    Ok(bytes) => self.parse(&below, &bytes),
                    Err(error) => self.errors.push(format!("{below}: {error}")),
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, path: &str, bytes: &[u8]) {
        match parse_documents(path, bytes) {
            Ok(documents) => self.documents.extend(documents),
            Err(error) => self.errors.push(error.to_string()),
        }
    }
}

fn read_bounded(dir: &Dir, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    dir.open(name)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {MAX_FILE_BYTES} bytes"),
        ));
    }
    Ok(bytes)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "a test makes its files as any other program would"
)]
mod tests {
    use super::*;
    use crate::catalog::DocumentKind;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        folder
    }

    #[test]
    fn documents_are_found_in_order_with_their_kind_and_blueprint() {
        let folder = folder(&[
            ("entities/System/cart.json", r#"{"identifier": "Cart"}"#),
            (
                "blueprints/system.json",
                r#"{"identifier": "System", "title": "System", "schema": {}}"#,
            ),
            ("README.md", "not a document"),
            (".git/x.json", "broken"),
        ]);
        let files = Files::read(folder.path()).unwrap();
        let kinds: Vec<_> = files.documents.iter().map(|one| one.kind).collect();
        assert_eq!(kinds, [DocumentKind::Blueprint, DocumentKind::Entity]);
        assert_eq!(files.documents[1].value["blueprint"], "System");
    }

    #[test]
    fn every_broken_file_is_named_and_nothing_is_sent() {
        let folder = folder(&[
            ("entities/A/a.json", "{"),
            ("entities/A/b.json", "[]"),
            ("entities/A/c.json", "{}"),
        ]);
        let refused = Files::read(folder.path()).unwrap_err();
        assert_eq!(refused.details.len(), 2);
        assert!(
            refused.details[0].contains("entities/A/a.json"),
            "{:?}",
            refused.details
        );
    }

    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let outside = folder(&[(
            "secret.json",
            r#"{"identifier": "Secret", "blueprint": "A"}"#,
        )]);
        let inside = folder(&[("entities/A/a.json", r#"{"identifier": "a"}"#)]);
        std::os::unix::fs::symlink(
            outside.path().join("secret.json"),
            inside.path().join("entities/A/b.json"),
        )
        .unwrap();
        std::os::unix::fs::symlink(outside.path(), inside.path().join("entities/B")).unwrap();
        let refused = Files::read(inside.path()).unwrap_err();
        assert_eq!(refused.details.len(), 1);
        assert!(refused.details[0].contains("b.json"));
    }

    #[test]
    fn a_place_in_a_document_is_told_with_its_line() {
        let folder = folder(&[
            (
                "entities/A/a.json",
                "{\n  \"identifier\": \"a\",\n  \"properties\": {\n    \"x\": 1}}",
            ),
            (
                "entities/A/b.yaml",
                "identifier: b\n---\nidentifier: c\nproperties:\n  x: 2\n",
            ),
        ]);
        let files = Files::read(folder.path()).unwrap();
        let lines = files
            .documents
            .iter()
            .map(|one| files.line(one, "/properties/x"));
        assert_eq!(lines.collect::<Vec<_>>(), [Some(4), Some(1), Some(5)]);
        let one = Files::read(&folder.path().join("entities/A/a.json"));
        // Without its folder the file does not say what it holds.
        assert!(one.is_err());
    }

    #[test]
    fn an_empty_folder_and_another_file_are_refused() {
        let folder = folder(&[("README.md", "text")]);
        assert!(Files::read(folder.path()).is_err());
        assert!(Files::read(&folder.path().join("README.md")).is_err());
        assert!(Files::read(&folder.path().join("absent.json")).is_err());
    }
}
