//! Reaches for more of the disk than it was granted.

use goldenpath_sdk::prelude::*;

use crate::{Came, Nothing, came};

/// Where to.
#[input]
pub struct At {
    /// Relative to the granted folder, or so it should be.
    pub path: String,
}

/// Opens a folder that no line names.
#[action]
pub fn opens_undeclared_folder(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    came(ctx.folder("elsewhere").read_to_string("secret")?)
}

/// Reads whatever path it is told.
#[action]
pub fn reads_a_path(input: At, ctx: &Context) -> Result<Came, Failure> {
    came(ctx.folder("box").read_to_string(&input.path)?)
}

/// Writes whatever path it is told.
#[action]
pub fn writes_a_path(input: At, ctx: &Context) -> Result<Came, Failure> {
    ctx.folder("box").replace(&input.path, "owned")?;
    came("written")
}

/// Writes until the folder takes no more.
#[action]
pub fn fills_the_folder(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    for number in 0.. {
        ctx.folder("box")
            .replace(&format!("file-{number}"), [b'x'; 8 * 1024])?;
    }
    came("written")
}
