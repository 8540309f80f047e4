//! Steps, taken through the component's imports.

use crate::bindings::goldenpath::plugin::steps as wit;
use crate::steps::{Begun, Error};
use crate::{Context, Failure};

pub(crate) fn begin(
    _: &Context,
    name: &str,
    input: Option<String>,
    idempotent: bool,
) -> Result<Begun, Error> {
    match wit::begin(name, input.as_deref(), idempotent)? {
        wit::Begun::Run(key) => Ok(Begun::Run(key)),
        wit::Begun::Recorded(result) => Ok(Begun::Recorded(result)),
    }
}

pub(crate) fn finish(_: &Context, result: String) -> Result<(), Error> {
    Ok(wit::finish(&result)?)
}

pub(crate) fn fail(_: &Context, failure: &Failure) -> Result<(), Error> {
    Ok(wit::fail(failure.code(), failure.message())?)
}

pub(crate) fn sleep(_: &Context, name: &str, millis: u64) -> Result<(), Error> {
    Ok(wit::sleep(name, millis)?)
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Nested(name) => Self::Nested(name),
            wit::Error::NoneOpen => Self::NoneOpen,
            wit::Error::Invalid(text) => Self::Invalid(text),
            wit::Error::TooMany(text) => Self::TooMany(text),
            wit::Error::TooLarge(text) => Self::TooLarge(text),
            wit::Error::Unrepeatable(text) => Self::Unrepeatable(text),
            wit::Error::Denied(denial) => Self::Denied(super::denial(denial)),
            wit::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
