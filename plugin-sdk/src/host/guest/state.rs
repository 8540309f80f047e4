//! Small values, kept through the component's imports.

use crate::Context;
use crate::bindings::goldenpath::plugin::state as wit;
use crate::state::Error;

pub(crate) fn get(_: &Context, key: &str) -> Result<Option<Vec<u8>>, Error> {
    wit::get(key).map_err(Error::from)
}

pub(crate) fn set(_: &Context, key: &str, value: &[u8]) -> Result<(), Error> {
    wit::set(key, value).map_err(Error::from)
}

pub(crate) fn delete(_: &Context, key: &str) -> Result<(), Error> {
    wit::delete(key).map_err(Error::from)
}

pub(crate) fn keys(_: &Context, prefix: &str) -> Result<Vec<String>, Error> {
    wit::keys(prefix).map_err(Error::from)
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::Denied(denial) => Self::Denied(super::denial(denial)),
            wit::Error::InvalidKey(text) => Self::InvalidKey(text),
            wit::Error::Quota(text) => Self::Quota(text),
            wit::Error::Unavailable(text) => Self::Unavailable(text),
        }
    }
}
