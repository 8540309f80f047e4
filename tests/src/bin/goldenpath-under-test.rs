//! The program that the tests drive: the same library behind the same line of `main` as `goldenpath` itself, built
//! with the tests so that cargo always has a fresh one.

use std::process::ExitCode;

fn main() -> ExitCode {
    goldenpath::cli::main(std::env::args_os())
}
