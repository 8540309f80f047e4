//! What carrying out a function twice would mean.

use serde::{Deserialize, Serialize};

/// What may have happened when an action was cut off, and so whether it can simply run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effects {
    /// It changes nothing outside.
    None,
    /// Doing it twice is the same as doing it once.
    Idempotent,
    /// It must not be done twice.
    Once,
}
