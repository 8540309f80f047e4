//! The `goldenpath` program. Everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    goldenpath::cli::main(std::env::args_os())
}
