//! The command line of a real program.

mod bad_input;
mod catalog;
mod plugin;
mod plugin_test;
mod target;

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "the tests' own files")]
pub(crate) fn write(file: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, bytes).expect("a file");
}
