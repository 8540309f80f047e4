//! One place where a value breaks a rule.

use serde::{Deserialize, Serialize};

/// One broken rule, found while checking a document against its schema or its blueprint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Violation {
    /// JSON pointer into the checked document, for example `/properties/type`; empty for the document itself.
    pub path: String,
    /// The rule that was broken, for example `enum`, `required`, `relation`.
    pub rule: String,
    /// One sentence for a person.
    pub message: String,
}

impl Violation {
    /// Names a broken rule at a JSON pointer.
    pub fn new(path: impl Into<String>, rule: &str, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            rule: rule.to_owned(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        write!(f, "{path}: {}", self.message)
    }
}
