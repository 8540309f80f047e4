//! The compiler's target for plugins, installed where it is missing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::exit::Failure;
use super::super::output::Output;

pub(super) const GUEST_TARGET: &str = "wasm32-wasip2";

const SCRIPT: &str = include_str!("install-wasm-target.sh");

/// Makes sure that the toolchain which is active in a folder can build plugins.
#[expect(
    clippy::disallowed_methods,
    reason = "the build step runs the tools of the toolchain"
)]
pub(super) fn install_target(dir: &Path, output: &Output) -> Result<(), Failure> {
    let failed = |error| Failure::of(format!("install the Rust target {GUEST_TARGET}"), &error);
    let mut script = Command::new("sh")
        .arg("-s")
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = script.stdin.take() {
        input.write_all(SCRIPT.as_bytes()).map_err(failed)?;
    }
    if let Some(said) = script.stdout.take() {
        for line in BufReader::new(said).lines() {
            output.note(&line.map_err(failed)?);
        }
    }
    let ended = script.wait_with_output().map_err(failed)?;
    if ended.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&ended.stderr);
    Err(Failure::failed(match reason.trim() {
        "" => format!("install the Rust target {GUEST_TARGET}: {}", ended.status),
        reason => reason.to_owned(),
    }))
}
