//! The generated imports, in this crate's own types.

pub(crate) mod actions;
pub(crate) mod catalog;
pub(crate) mod files;
pub(crate) mod http;
pub(crate) mod log;
pub(crate) mod secrets;
pub(crate) mod state;
pub(crate) mod steps;

use crate::bindings::goldenpath::plugin::types;
use crate::{Denial, Violation};

fn denial(types::Denial { missing, message }: types::Denial) -> Denial {
    Denial { missing, message }
}

fn violations(violations: Vec<types::Violation>) -> Vec<Violation> {
    violations
        .into_iter()
        .map(
            |types::Violation {
                 path,
                 rule,
                 message,
             }| Violation {
                path,
                rule,
                message,
            },
        )
        .collect()
}
