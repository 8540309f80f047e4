//! Secrets in memory.

use crate::Context;
use crate::secrets::Error;

pub(crate) fn get(ctx: &Context, name: &str) -> Result<String, Error> {
    match ctx.world.borrow().secrets.get(name) {
        None => Err(Error::Denied(super::denial(format!("secret {name}")))),
        Some(None) => Err(Error::Unset(format!(
            "secret `{name}` is not set; ask an administrator to set it"
        ))),
        Some(Some(text)) => Ok(text.clone()),
    }
}
