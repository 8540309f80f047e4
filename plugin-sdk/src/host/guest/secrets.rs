//! The text of secrets, through the component's imports.

use crate::Context;
use crate::bindings::goldenpath::plugin::secrets as wit;
use crate::secrets::Error;

pub(crate) fn get(_: &Context, name: &str) -> Result<String, Error> {
    wit::get(name).map_err(|error| match error {
        wit::Error::Denied(denial) => Error::Denied(super::denial(denial)),
        wit::Error::Unset(text) => Error::Unset(text),
        wit::Error::Unfit(text) => Error::Unfit(text),
        wit::Error::Unavailable(text) => Error::Unavailable(text),
    })
}
