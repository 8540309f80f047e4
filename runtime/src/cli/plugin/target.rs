//! The compiler's target for plugins, installed where it is missing.

use std::io::Write as _;
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
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = script.stdin.take() {
        input.write_all(SCRIPT.as_bytes()).map_err(failed)?;
    }
    let mut last = String::new();
    if let Some(errors) = script.stderr.take() {
        for line in std::io::BufRead::lines(std::io::BufReader::new(errors)) {
            let line = line.map_err(failed)?;
            output.note(&line);
            last = line;
        }
    }
    if script.wait().map_err(failed)?.success() {
        return Ok(());
    }
    Err(Failure::failed(last))
}
