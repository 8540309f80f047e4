//! The compiler's target for plugins, where it is missing: both ways to it, and the sentence where there is none.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use goldenpath_tests::{Ended, Program, Toolchain, external, machine_has_target, plugins_dir};

use super::write;
use crate::{guest_target, plugin_component, program};

const SCRIPT: &str = include_str!("../../../runtime/src/cli/plugin/install-wasm-target.sh");

/// A server that does not answer.
const NOWHERE: &str = "http://127.0.0.1:1";

/// A copy of the toolchain, made when nobody else is changing the original: whatever needs the target has it then.
fn copied() -> Toolchain {
    plugin_component("hello");
    Toolchain::copy()
}

/// The program over a copied toolchain, as on a machine where nothing was said about rustup.
fn over(toolchain: &Toolchain, home: &Path) -> Program {
    Program::new(program(), home)
        // What the cargo that runs the tests has set would lead back to the machine's own toolchain.
        .without("RUSTUP_TOOLCHAIN")
        .without("LD_LIBRARY_PATH")
        .without("RUSTUP_AUTO_INSTALL")
        .with("CARGO", "cargo")
        .with("RUSTUP_HOME", toolchain.home())
}

/// Builds `hello`; the answer is the command's end and where the package is.
fn build(program: &Program, home: &Path) -> Ended {
    let package = home.join("hello.wasm");
    let package = package.to_str().expect("a path in UTF-8");
    program.run_in(
        &plugins_dir().join("hello"),
        ["plugin", "build", "-o", package],
    )
}

#[track_caller]
fn assert_one_sentence(stderr: &str, parts: &[&str]) {
    let last = stderr.trim_end().lines().last().unwrap_or_default();
    for part in ["wasm32-wasip2", "rustup target add"].iter().chain(parts) {
        assert!(last.contains(part), "`{part}`: {stderr}");
    }
}

#[test]
fn where_rustup_cannot_fetch_the_target_it_is_built_from_debians_packages_once() {
    if !external("where_rustup_cannot_fetch_the_target…: compiles a standard library for minutes")
    {
        return;
    }
    if !has("apt-get") {
        skipped("this machine has no apt-get");
        return;
    }
    let toolchain = copied();
    let home = tempfile::tempdir().expect("a folder");
    let program = over(&toolchain, home.path())
        .with("RUSTUP_DIST_SERVER", NOWHERE)
        .with("CARGO_TARGET_DIR", guest_target().join("fallback"));

    let built = build(&program, home.path());
    if built.code != 0 && built.stderr.contains("mirror") {
        assert_one_sentence(&built.stderr, &["mirror"]);
        skipped("no mirror of Debian's answers here");
        return;
    }
    let built = built.with_code(0);
    assert!(
        built.stderr.contains("Debian's packages, once"),
        "{}",
        built.stderr
    );
    assert!(toolchain.has_target());
    let leftovers = leftovers(&toolchain);
    assert!(leftovers.is_empty(), "{leftovers:?}");
    program
        .run_in(home.path(), ["plugin", "inspect", "hello.wasm"])
        .with_code(0);

    // From now on there is nothing to do.
    let again = build(&program, home.path()).with_code(0);
    assert!(!again.stderr.contains("rustup"), "{}", again.stderr);
    assert!(
        machine_has_target(),
        "the machine's own toolchain stays as it is"
    );
}

#[test]
fn rustup_is_asked_for_the_target_first() {
    if !external("rustup_is_asked_for_the_target_first: downloads a standard library") {
        return;
    }
    if !has("rustup") {
        skipped("this machine has no rustup");
        return;
    }
    let toolchain = copied();
    let home = tempfile::tempdir().expect("a folder");
    // Without a mirror, so that the other way is not taken where this one is closed.
    shim(&home.path().join("bin/apt-get"), "exit 1");
    let program = over(&toolchain, home.path())
        .with("PATH", path_with(&home.path().join("bin")))
        .with("CARGO_TARGET_DIR", guest_target().join("rustup"));
    let built = build(&program, home.path());
    assert!(built.stderr.contains("asking rustup"), "{}", built.stderr);
    if built.code == 0 {
        assert!(toolchain.has_target());
    } else {
        assert_one_sentence(&built.stderr, &["mirror"]);
        skipped("rustup's server cannot be reached from here");
    }
}

#[test]
fn a_toolchain_that_cannot_be_written_is_named_in_one_sentence() {
    if !external("a_toolchain_that_cannot_be_written…: copies a toolchain") {
        return;
    }
    let toolchain = copied();
    let rustlib = toolchain.rustlib();
    let refused = install_as_somebody_else(&toolchain);
    let Some(refused) = refused else {
        skipped("nobody else can be played here: no setpriv");
        return;
    };
    assert!(!refused.status.success());
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert_one_sentence(
        &stderr,
        &["cannot be written", rustlib.to_str().expect("UTF-8")],
    );
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(!toolchain.has_target());
    assert!(
        leftovers(&toolchain).is_empty(),
        "{:?}",
        leftovers(&toolchain)
    );
}

#[test]
fn a_build_without_any_way_to_the_target_ends_in_one_sentence() {
    let home = tempfile::tempdir().expect("a folder");
    let bin = home.path().join("bin");
    // A compiler below a folder where not even root can make anything.
    shim(
        &bin.join("rustc"),
        "case \"$*\" in\n*target-libdir*) echo /proc/sys/lib/rustlib/wasm32-wasip2/lib ;;\n\
         *--version*) echo 'rustc 1.95.0 (0000000 2026-01-01)' ;;\n*) exit 1 ;;\nesac",
    );
    shim(&bin.join("rustup"), "exit 1");
    let program = Program::new(program(), home.path()).with("PATH", path_with(&bin));
    let ended = build(&program, home.path()).with_code(1);
    assert_one_sentence(&ended.stderr, &["/proc/sys/lib/rustlib cannot be written"]);
    assert_eq!(
        ended.stderr.matches("cannot be written").count(),
        1,
        "{}",
        ended.stderr
    );
    assert!(!home.path().join("hello.wasm").exists());
}

/// What an installation has left behind beside the targets.
fn leftovers(toolchain: &Toolchain) -> Vec<String> {
    let entries = toolchain.rustlib().read_dir().expect("the targets");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.starts_with('.'))
        .collect()
}

/// The step, as a user who may read the toolchain but not write it.
#[expect(
    clippy::disallowed_methods,
    reason = "the step as `plugin build` takes it"
)]
fn install_as_somebody_else(toolchain: &Toolchain) -> Option<Output> {
    let own = Command::new("id").arg("-u").output().expect("id runs");
    let mut step = if own.stdout.starts_with(b"0\n") {
        if !has("setpriv") {
            return None;
        }
        let mut step = Command::new("setpriv");
        step.args(["--reuid=65534", "--regid=65534", "--clear-groups", "sh"]);
        step
    } else {
        set_mode(&toolchain.rustlib(), 0o555);
        Command::new("sh")
    };
    let bin = toolchain.sysroot().join("bin");
    let done = step
        .args(["-c", SCRIPT])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .expect("sh runs");
    // So that the folder can be removed.
    set_mode(&toolchain.rustlib(), 0o755);
    Some(done)
}

/// A program that stands in the way of another.
fn shim(file: &Path, script: &str) {
    write(file, format!("#!/bin/sh\n{script}\n"));
    set_mode(file, 0o755);
}

fn set_mode(file: &Path, mode: u32) {
    std::fs::set_permissions(file, Permissions::from_mode(mode)).expect("the test's own file");
}

/// The search path with a folder before all others.
#[expect(
    clippy::disallowed_methods,
    reason = "the path that the tests were started with"
)]
fn path_with(first: &Path) -> std::ffi::OsString {
    let mut path = first.as_os_str().to_owned();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "the path that the tests were started with"
)]
fn has(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

#[expect(clippy::print_stderr, reason = "what is left out is said")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
