//! The rules of the house, held against the project as it stands.

use std::path::{Path, PathBuf};
use std::process::Command;

use goldenpath_tests::tidy::{Breach, check_file, check_floors, check_text};

const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".clippy.toml",
    ".config",
    ".deny.toml",
    ".gitignore",
    ".rustfmt.toml",
    ".typos.toml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "plugin-sdk",
    "plugins",
    "runtime",
    "rust-toolchain.toml",
    "tests",
    "wit",
];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the project's folder").to_owned()
}

/// What git tracks or would track, below the top level.
#[expect(
    clippy::disallowed_methods,
    reason = "git knows which files belong to the project"
)]
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .expect("git runs");
    assert!(listed.status.success(), "git lists the project's files");
    let names = String::from_utf8(listed.stdout).expect("file names are text");
    let mut files: Vec<PathBuf> = names.split_terminator('\0').map(PathBuf::from).collect();
    files.retain(|file| root().join(file).is_file());
    assert!(files.len() > 50, "the project has files");
    files
}

#[expect(
    clippy::disallowed_methods,
    reason = "the project's own source, named by git"
)]
fn read(file: &Path) -> String {
    let bytes = std::fs::read(root().join(file)).expect("a listed file can be read");
    String::from_utf8_lossy(&bytes).into_owned()
}

fn assert_none(breaches: &[Breach]) {
    let shown: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(shown.is_empty(), "\n{}\n", shown.join("\n"));
}

fn rust_files() -> impl Iterator<Item = PathBuf> {
    files()
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "rs"))
}

#[test]
fn imports_go_downward_only() {
    let mut breaches = Vec::new();
    let mut seen = 0;
    for file in rust_files() {
        if let Ok(below) = file.strip_prefix("runtime/src") {
            seen += 1;
            breaches.extend(check_floors(below, &read(&file)));
        }
    }
    assert!(seen > 20, "the runtime's source was read");
    assert_none(&breaches);
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let breaches: Vec<Breach> = rust_files()
        .flat_map(|file| check_file(&file, &read(&file)))
        .collect();
    assert_none(&breaches);
}

#[test]
fn no_file_names_one_machine() {
    let breaches: Vec<Breach> = files()
        .into_iter()
        .filter(|file| file != Path::new("Cargo.lock"))
        .flat_map(|file| check_text(&file, &read(&file)))
        .collect();
    assert_none(&breaches);
}

#[test]
fn the_top_level_is_as_planned() {
    let strangers: Vec<String> = files()
        .iter()
        .filter_map(|file| file.iter().next()?.to_str().map(str::to_owned))
        .filter(|name| !TOP_LEVEL.contains(&name.as_str()))
        .collect();
    assert!(strangers.is_empty(), "at the top level: {strangers:?}");
}
