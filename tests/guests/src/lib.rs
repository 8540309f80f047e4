//! Guests that misbehave, one behaviour each, as a hostile or careless author would write them. What becomes of each
//! is said in `tests/integration/sandbox`.

pub mod catalog;
pub mod crash;
pub mod files;
pub mod log;
pub mod output;
pub mod time;

use goldenpath_sdk::prelude::*;
use goldenpath_sdk::serde_json::Value;

/// Nothing to say.
#[input]
pub struct Nothing {}

/// What came of it.
#[output]
pub struct Came {
    /// Anything.
    pub of: Value,
}

/// An answer with something in it.
pub(crate) fn came(of: impl Into<Value>) -> Result<Came, Failure> {
    Ok(Came { of: of.into() })
}

goldenpath_sdk::plugin!(
    catalog::floods_the_host,
    catalog::writes_by_a_hidden_query,
    catalog::writes_by_a_query,
    catalog::writes_undeclared_blueprint,
    catalog::writes_undeclared_property,
    crash::eats_memory,
    crash::exits,
    crash::panics,
    crash::recurses_forever,
    crash::traps,
    files::fills_the_folder,
    files::opens_undeclared_folder,
    files::reads_a_path,
    files::writes_a_path,
    log::floods_stdout,
    log::floods_the_log,
    log::prints_escapes,
    log::prints_invalid_utf8,
    log::prints_one_endless_line,
    output::answers_deep,
    output::answers_huge,
    time::loops_forever,
    time::reads_the_clock,
    time::reads_randomness,
    time::sleeps_too_long,
);
