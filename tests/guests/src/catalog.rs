//! Reaches for more of the catalog than it was granted.

use goldenpath_sdk::prelude::*;

use crate::{Came, Nothing, came};

/// Asks without end.
#[action]
pub fn floods_the_host(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    loop {
        let _ = ctx.catalog().get("Thing", "nothing");
    }
}

/// Writes where no line says that it may.
#[action]
pub fn writes_undeclared_blueprint(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    ctx.catalog().create(&Entity::new("Secret", "mine"))?;
    came("written")
}

/// Writes a property that its line does not list.
#[action]
pub fn writes_undeclared_property(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    ctx.catalog()
        .create(&Entity::new("Thing", "mine").property("owner", "me"))?;
    came("written")
}
