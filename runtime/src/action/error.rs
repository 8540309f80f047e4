//! Why an action or a run was refused.

use crate::model::Violation;
use crate::{catalog, store};

/// What a caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing. The text names it.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It is there already, or not in a state that allows this.
    #[error("{message}")]
    Conflict {
        /// The API's word for it.
        code: &'static str,
        /// One sentence for a person.
        message: String,
    },
    /// It breaks rules; all of them are listed.
    #[error("{subject} breaks {} rule(s)", violations.len())]
    Invalid {
        /// The thing that breaks them.
        subject: String,
        /// Every broken rule.
        violations: Vec<Violation>,
    },
    /// Whoever asks may not do it. The text says who may.
    #[error("{message}")]
    Forbidden {
        /// One sentence for a person.
        message: String,
        /// What refused, part by part, where a policy did.
        reasons: Vec<Violation>,
    },
    /// As many runs wait as may; nothing was started.
    #[error("{message}")]
    QueueFull {
        /// One sentence for a person.
        message: String,
        /// After how many seconds it is worth asking again.
        retry_after: u64,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The system gave no random bytes for a run's identifier.
    #[error("make an identifier for the run")]
    Random(#[from] getrandom::Error),
    /// The store failed.
    #[error("store the change")]
    Store(#[from] store::Error),
}
