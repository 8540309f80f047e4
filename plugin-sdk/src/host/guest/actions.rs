//! Runs of other actions, started through the component's imports.

use crate::Context;
use crate::actions::{Error, Status};
use crate::bindings::goldenpath::plugin::actions as wit;

pub(crate) fn start(
    _: &Context,
    action: &str,
    properties: String,
    entity: Option<&str>,
) -> Result<String, Error> {
    wit::start(action, &properties, entity).map_err(Error::from)
}

pub(crate) fn status(_: &Context, run_id: &str) -> Result<Status, Error> {
    match wit::status(run_id)? {
        wit::RunStatus::InProgress => Ok(Status::InProgress),
        wit::RunStatus::Succeeded => Ok(Status::Succeeded),
        wit::RunStatus::Failed => Ok(Status::Failed),
        wit::RunStatus::WaitingForApproval => Ok(Status::WaitingForApproval),
        wit::RunStatus::Declined => Ok(Status::Declined),
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(denial) => Self::Denied(super::denial(denial)),
            wit::Error::Forbidden(text) => Self::Forbidden(text),
            wit::Error::NotFound(what) => Self::NotFound(what),
            wit::Error::Invalid(violations) => Self::Invalid(super::violations(violations)),
            wit::Error::Refused(text) => Self::Refused(text),
            wit::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
