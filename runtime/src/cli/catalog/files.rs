//! Finds the documents of a folder. Reads nothing outside of it, however its links point.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};

use super::super::exit::Failure;
use crate::catalog::{DocumentKind, is_document, parse_documents};
use crate::config;

/// One document; the server's own limit for a body.
const MAX_FILE_BYTES: u64 = 8 * 1024 * 1024;

/// A catalog beyond this is not one apply.
const MAX_FILES: usize = 20_000;

/// Deeper folders are a mistake, or a trap.
const MAX_DEPTH: usize = 16;

/// As many broken files as a person reads.
const MAX_ERRORS: usize = 100;

/// The documents of a folder or of one file, as the server takes them.
pub(super) fn read_documents(path: &Path) -> Result<Vec<Value>, Failure> {
    // `.` and `..` have no name of their own, and the name of the folder says what lies in it.
    let absolute = path
        .canonicalize()
        .map_err(|error| Failure::of(format!("read `{}`", path.display()), &error))?;
    let name = absolute
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let mut found = Found::default();
    if absolute.is_dir() {
        let dir = Dir::open_ambient_dir(&absolute, ambient_authority())
            .map_err(|error| Failure::of(format!("read `{}`", path.display()), &error))?;
        found.walk(&dir, &name, 0)?;
    } else if is_document(&name) {
        found.count = 1;
        match config::read_file(&absolute, MAX_FILE_BYTES) {
            Ok(bytes) => found.parse(&name, &bytes),
            Err(error) => found.errors.push(format!("{name}: {error}")),
        }
    } else {
        return Err(Failure::usage(format!(
            "`{name}` is neither a folder nor a .json or .yaml file"
        )));
    }
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
    Ok(found.documents)
}

#[derive(Default)]
struct Found {
    documents: Vec<Value>,
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
                if self.count > MAX_FILES {
                    return Err(Failure::failed(format!(
                        "more than {MAX_FILES} files; apply the folders one by one"
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
            Ok(documents) => self.documents.extend(documents.into_iter().map(|document| {
                let kind = match document.kind {
                    DocumentKind::Blueprint => "blueprint",
                    DocumentKind::Entity => "entity",
                    DocumentKind::Action => "action",
                };
                json!({"source": document.source, "kind": kind, "value": document.value})
            })),
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
        let documents = read_documents(folder.path()).unwrap();
        let kinds: Vec<_> = documents
            .iter()
            .map(|one| one["kind"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["blueprint", "entity"]);
        assert_eq!(documents[1]["value"]["blueprint"], "System");
    }

    #[test]
    fn every_broken_file_is_named_and_nothing_is_sent() {
        let folder = folder(&[
            ("entities/A/a.json", "{"),
            ("entities/A/b.json", "[]"),
            ("entities/A/c.json", "{}"),
        ]);
        let refused = read_documents(folder.path()).unwrap_err();
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
        let refused = read_documents(inside.path()).unwrap_err();
        assert_eq!(refused.details.len(), 1);
        assert!(refused.details[0].contains("b.json"));
    }

    #[test]
    fn an_empty_folder_and_another_file_are_refused() {
        let folder = folder(&[("README.md", "text")]);
        assert!(read_documents(folder.path()).is_err());
        assert!(read_documents(&folder.path().join("README.md")).is_err());
        assert!(read_documents(&folder.path().join("absent.json")).is_err());
    }
}
