//! Why the catalog refused.

use crate::model::Violation;
use crate::store;

/// What a caller can do about it: look elsewhere, read again, mend the document, or try later.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing. The text names it: ``blueprint `Component` ``.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It is there already, or is in use. The text says what and by whom.
    #[error("{message}")]
    Conflict {
        /// The API's word for it: `already_exists`, `has_dependents`.
        code: &'static str,
        /// One sentence for a person.
        message: String,
    },
    /// Whoever asks may not do it. The text says what, and whom to ask.
    #[error("{0}")]
    Forbidden(String),
    /// It breaks rules; all of them are listed.
    #[error("{subject} breaks {} rule(s)", violations.len())]
    Invalid {
        /// The thing that breaks them: ``entity `Cart` of blueprint `System` ``.
        subject: String,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// A query would cost more than anybody may take. The text says what to narrow.
    #[error("{0}")]
    TooExpensive(String),
    /// The system gives no random numbers, which identifiers are made of.
    #[error("make an identifier")]
    Random(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No worker process of jq can be started; nothing is known about the filters.
    #[error("check the calculations: {0}")]
    NoJq(String),
    /// The store failed.
    #[error("store the change")]
    Store(#[from] store::Error),
}
