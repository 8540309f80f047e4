//! How an install or a call ends badly, by type.

use crate::model::Violation;
use crate::store;

/// Why a package was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The file is not a component package that this host can run; the text says what it is and what to do.
    #[error("{0}")]
    Unusable(String),
    /// The manifest breaks rules; the text names key and line.
    #[error("{0}")]
    Manifest(String),
    /// This name and version exists with other bytes.
    #[error("{0}")]
    Conflict(String),
    /// The store failed.
    #[error("store the plugin")]
    Store(#[from] store::Error),
}

/// Why a call has no output. Each has a code of its own in the run's failure.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No such plugin, version or function, or it may not run.
    #[error("{0}")]
    Refused(String),
    /// The input breaks the function's schema.
    #[error("the input breaks {} rule(s)", .0.len())]
    InvalidInput(Vec<Violation>),
    /// The plugin's author foresaw this failure.
    #[error("{message}")]
    Failed {
        /// The plugin's own `snake_case` word.
        code: String,
        /// The plugin's own sentence.
        message: String,
    },
    /// The guest trapped or panicked.
    #[error("the plugin crashed: {0}")]
    Trapped(String),
    /// The guest called something that it was not granted and did not handle the denial.
    #[error("{0}")]
    Denied(String),
    /// The wall-time budget was used up.
    #[error("the plugin did not finish within its wall-time budget of {0:?}")]
    TimedOut(std::time::Duration),
    /// Another budget was used up.
    #[error("the plugin used up its {budget} budget of {granted}")]
    OverBudget {
        /// The manifest's key: `cpu-time`, `memory`, `output`, `host-calls`.
        budget: &'static str,
        /// What was granted, for people.
        granted: String,
    },
    /// The output breaks the function's schema.
    #[error("the output breaks {} rule(s)", .0.len())]
    InvalidOutput(Vec<Violation>),
    /// The host itself failed.
    #[error("{0}")]
    Host(String),
}
