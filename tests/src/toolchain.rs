//! A copy of the Rust toolchain that a test may spoil: the machine's own stays as it is.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests make the copy, and ask the tools where the original is"
)]

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

const TARGET: &str = "wasm32-wasip2";

/// A copied toolchain without the target of plugins, in a home of rustup's of its own.
#[derive(Debug)]
pub struct Toolchain {
    folder: TempDir,
    name: String,
}

impl Toolchain {
    /// Copies the toolchain of this project, by hard links where the disk has them.
    pub fn copy() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Other users of the machine may look in: one test plays such a one.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path(), open).expect("its own folder");
        let toolchain = Self {
            folder,
            name: name(),
        };
        // The documentation is most of the files and none of the compiler.
        copy(&sysroot(), &toolchain.sysroot(), &["share"]).expect("the toolchain can be copied");
        toolchain.remove_target();
        toolchain
    }

    /// What `RUSTUP_HOME` has to be.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the compiler.
    pub fn sysroot(&self) -> PathBuf {
        self.folder.path().join("toolchains").join(&self.name)
    }

    /// The folder of the targets.
    pub fn rustlib(&self) -> PathBuf {
        self.sysroot().join("lib/rustlib")
    }

    /// Whether it can build plugins.
    pub fn has_target(&self) -> bool {
        has_target(&self.rustlib())
    }

    fn remove_target(&self) {
        let folder = self.rustlib().join(TARGET);
        if !folder.exists() {
            return;
        }
        // By rustup where that is how it came, so that it knows; else by hand.
        let removed = Command::new("rustup")
            .args(["target", "remove", TARGET, "--toolchain", &self.name])
            .env("RUSTUP_HOME", self.home())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !removed.is_ok_and(|status| status.success()) || folder.exists() {
            fs::remove_dir_all(&folder).expect("the copy's own folder");
        }
        assert!(!self.has_target());
    }
}

/// Whether the machine's own toolchain can build plugins.
pub fn machine_has_target() -> bool {
    has_target(&sysroot().join("lib/rustlib"))
}

fn has_target(rustlib: &Path) -> bool {
    let Ok(entries) = fs::read_dir(rustlib.join(TARGET).join("lib")) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Where the toolchain is that this project is built with, whatever links lead to it.
fn sysroot() -> PathBuf {
    let asked = ask("rustc", &["--print", "sysroot"]).expect("rustc runs");
    PathBuf::from(asked)
        .canonicalize()
        .expect("the toolchain is there")
}

/// What rustup calls it, which need not be the name of its folder.
fn name() -> String {
    let active = ask("rustup", &["show", "active-toolchain"]).unwrap_or_default();
    let name = active.split_whitespace().next().unwrap_or("without-rustup");
    name.to_owned()
}

fn ask(tool: &str, arguments: &[&str]) -> Option<String> {
    let asked = Command::new(tool)
        .args(arguments)
        // What the cargo that runs the tests has set may be another toolchain's.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let answer = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
    asked.status.success().then_some(answer)
}

fn copy(from: &Path, to: &Path, without: &[&str]) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, source) = (entry.file_name(), entry.path());
        let target = to.join(&name);
        let kind = entry.file_type()?;
        if without.iter().any(|skipped| name == *skipped) {
            continue;
        }
        if kind.is_dir() {
            copy(&source, &target, &[])?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
        } else if from.ends_with("lib/rustlib") || fs::hard_link(&source, &target).is_err() {
            // Rustup writes its own lists anew, and not always into a new file.
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
