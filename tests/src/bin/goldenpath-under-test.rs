//! The program that the tests drive: the same library behind the same line of `main` as `goldenpath` itself, built
//! with the tests so that cargo always has a fresh one.

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(feature = "remove-knobs")]
    remove_knob();
    goldenpath::cli::main(std::env::args_os())
}

/// Takes away what `integration/knob.rs` names.
#[cfg(feature = "remove-knobs")]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests' own, not a setting of the product"
)]
fn remove_knob() {
    if let Ok(name) = std::env::var("REMOVED_KNOB") {
        goldenpath::plugin::remove_knob(&name);
    }
}
