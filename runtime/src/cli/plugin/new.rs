//! `goldenpath plugin new`: a project that builds, tests and runs as it is.

use super::super::exit::{Exit, Failure};
use super::super::output::Output;

pub(super) fn run(_name: &str, _output: &Output) -> Result<Exit, Failure> {
    Err(Failure::failed("not there yet"))
}
