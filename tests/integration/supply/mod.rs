//! The way of a package from its author to a portal: who signed it, what is forbidden, the registry between them.

pub(crate) mod registry;
pub(crate) mod signature;

use std::path::Path;

#[expect(clippy::disallowed_methods, reason = "a file of the test's own")]
fn write(file: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(file, content).expect("a file");
}
