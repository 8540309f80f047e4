//! How an install or a call ends badly, by type.

use super::trust::Distrust;
use crate::model::{Digest, Timestamp, Violation};
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
    /// It lacks signatures, or is forbidden by name.
    #[error(transparent)]
    Untrusted(#[from] Distrust),
    /// The store failed.
    #[error("store the plugin")]
    Store(#[from] store::Error),
}

/// Why a decision about a version was not taken, or the version was not found.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// No such plugin or version. The text names it.
    #[error("{0} does not exist")]
    NotFound(String),
    /// It changed since it was read, or is not in a state that allows this; the text says what it is.
    #[error("{0}")]
    Conflict(String),
    /// It lacks signatures, or is forbidden by name.
    #[error(transparent)]
    Untrusted(#[from] Distrust),
    /// Whoever decides is not the one who may; the text says which rule and who may.
    #[error("{0}")]
    Forbidden(String),
    /// The decision itself breaks rules; all of them are listed.
    #[error("the approval breaks {} rule(s)", .0.len())]
    Invalid(Vec<Violation>),
    /// The store failed.
    #[error("store the decision")]
    Store(#[from] store::Error),
}

/// Why the sandbox cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A folder for compiled components or granted files cannot be used.
    #[error("use folder `{}`", folder.display())]
    Folder {
        /// The folder.
        folder: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The setting of the ceiling is not understood; the text names the line.
    #[error("read the setting `plugin-ceiling`: {0}")]
    Ceiling(String),
    /// The authorities that requests are to trust are none; the text says why.
    #[error("read the file of the setting `egress-ca-file`: {0}")]
    Authorities(String),
    /// The settings of trusted keys are not understood, or nothing could be installed with them; the text says which.
    #[error("read the setting `plugin-trusted-keys`: {0}")]
    Trust(String),
    /// The revocation list is not understood; the text names the line.
    #[error("read the revocation list of plugins: {0}")]
    Revoked(String),
    /// This machine cannot run the sandbox.
    #[error("start the sandbox: {0}")]
    Engine(String),
}

/// Why a call has no output. Each has a code of its own in the run's failure.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No such plugin, version or function, or it may not run.
    #[error("{0}")]
    Refused(String),
    /// The version is not, or no longer, the one that was approved.
    #[error("{0}")]
    NotActive(String),
    /// The version was approved once and is forbidden now; the call did not begin, or was ended.
    #[error("{0}")]
    Revoked(String),
    /// The version lacks signatures that the host asks for by now.
    #[error("{0}")]
    Untrusted(String),
    /// All guests were ended, because the portal stops or a person said so.
    #[error("the call was ended from outside")]
    Stopped,
    /// A person ended it.
    #[error("the run was cancelled while the plugin was at work")]
    Cancelled,
    /// Whoever made the call had no more time for it.
    #[error("the run did not end within the timeout of its action")]
    Overdue,
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
    /// The component imports what the reviewer denied, so that the call did not begin.
    #[error("{message}")]
    Unlinked {
        /// Of the package.
        digest: Digest,
        /// The kinds of lines that are missing, as lines begin.
        missing: Vec<&'static str>,
        /// Which import it is.
        message: String,
    },
    /// The plugin took its steps in another way than an earlier attempt of the run did.
    #[error("{0}")]
    StepMismatch(String),
    /// The plugin asked to go on later. Nothing is wrong.
    #[error("the run sleeps")]
    Sleeping(Timestamp),
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

impl CallError {
    /// The `snake_case` word for it in a run's failure; a failure that the plugin foresaw has a word of its own.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(_) => "plugin_refused",
            Self::NotActive(_) => "plugin_not_active",
            Self::Revoked(_) => "plugin_revoked",
            Self::Untrusted(_) => "plugin_untrusted",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Overdue => "timed_out",
            Self::InvalidInput(_) => "invalid_input",
            Self::Failed { code, .. } => code,
            Self::Trapped(_) => "plugin_crashed",
            Self::Denied(_) | Self::Unlinked { .. } => "denied",
            Self::StepMismatch(_) => "step_mismatch",
            Self::Sleeping(_) => "sleeping",
            Self::TimedOut(_) => "timed_out",
            Self::OverBudget {
                budget: "cpu-time", ..
            } => "cpu_budget",
            Self::OverBudget {
                budget: "memory", ..
            } => "memory_budget",
            Self::OverBudget {
                budget: "host-calls",
                ..
            } => "host_call_budget",
            Self::OverBudget {
                budget: "output", ..
            } => "output_too_large",
            Self::OverBudget { .. } => "handle_budget",
            Self::InvalidOutput(_) => "invalid_output",
            Self::Host(_) => "host_error",
        }
    }
}
