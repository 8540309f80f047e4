//! Starting other actions of the portal.

use std::fmt;

use serde::Serialize;

use crate::{Context, Denial, Failure, Violation, host};

/// The actions that the plugin may start; from [`Context::actions`]. Needs `[[capabilities.run-action]]`.
///
/// A run that is started is one of the person who asked for this run, who has to be allowed to start it. It goes on by
/// itself. Runs that start runs go four deep at most, never start an action within itself, and are fifty at most below
/// one that a person asked for.
///
/// ```
/// use goldenpath_sdk::prelude::*;
/// use goldenpath_sdk::serde_json::json;
///
/// let ctx = FakeContext::new().with_startable_action("notify");
/// let run = ctx.actions().start("notify", &json!({ "text": "orders is there" }))?;
/// assert_eq!(ctx.started()[0].action, "notify");
/// # assert_eq!(run, ctx.started()[0].run_id);
/// # Ok::<(), Failure>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Actions<'a> {
    pub(crate) ctx: &'a Context,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It waits, or is being carried out.
    InProgress,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// It waits for a person to approve it.
    WaitingForApproval,
    /// That person declined.
    Declined,
}

impl Actions<'_> {
    /// Starts a run of an action with these inputs, and answers its identifier without waiting for its end.
    ///
    /// # Errors
    /// Every one of [`Error`].
    pub fn start<T: Serialize + ?Sized>(
        &self,
        action: &str,
        properties: &T,
    ) -> Result<String, Error> {
        host::actions::start(self.ctx, action, text(properties)?, None)
    }

    /// As [`start`](Self::start), for an action that works on an entity.
    ///
    /// # Errors
    /// Every one of [`Error`].
    pub fn start_on<T: Serialize + ?Sized>(
        &self,
        action: &str,
        entity: &str,
        properties: &T,
    ) -> Result<String, Error> {
        host::actions::start(self.ctx, action, text(properties)?, Some(entity))
    }

    /// How far a run is that this run started. To ask until it has ended is no way to wait for it: this call
    /// keeps its own place among those that run, and where all of them ask none is left for what they started.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unavailable`].
    pub fn status(&self, run_id: &str) -> Result<Status, Error> {
        host::actions::status(self.ctx, run_id)
    }
}

fn text<T: Serialize + ?Sized>(properties: &T) -> Result<String, Error> {
    serde_json::to_string(properties).map_err(|error| Error::Format(error.to_string()))
}

/// Why nothing was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Not granted.
    Denied(Denial),
    /// The person who asked for this run may not start that action; the text says what is missing.
    Forbidden(String),
    /// There is no such action; or no such run that this run started.
    NotFound(String),
    /// The properties or the entity do not fit; every violation at once.
    Invalid(Vec<Violation>),
    /// Too deep, in a circle, or too many; the text says which.
    Refused(String),
    /// The host cannot answer now; trying again later may help.
    Unavailable(String),
    /// The properties cannot be JSON.
    Format(String),
}

impl Error {
    /// The failure code that it turns into.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(_) => "denied",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Invalid(_) => "invalid",
            Self::Refused(_) => "refused",
            Self::Unavailable(_) => "unavailable",
            Self::Format(_) => "invalid_json",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => f.write_str(&denial.message),
            Self::NotFound(what) => write!(f, "{what} does not exist"),
            Self::Invalid(violations) => {
                f.write_str("the run does not fit its action")?;
                violations
                    .iter()
                    .try_for_each(|v| write!(f, "; {}: {}", v.path, v.message))
            }
            Self::Forbidden(text)
            | Self::Refused(text)
            | Self::Unavailable(text)
            | Self::Format(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
