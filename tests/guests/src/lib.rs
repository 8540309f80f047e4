//! Guests that misbehave, one behaviour each, as a hostile or careless author would write them. What becomes of each
//! is said in `tests/integration/sandbox`.

pub mod catalog;
pub mod crash;
pub mod files;
mod list;
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

list::guests!(goldenpath_sdk::plugin);
