//! Says too much, or what no terminal should see.

#![expect(clippy::print_stdout, reason = "printing too much is the point")]

use std::io::Write as _;

use goldenpath_sdk::prelude::*;

use crate::{Came, Nothing, came};

/// A gigabyte in lines of a kilobyte.
#[action]
pub fn floods_stdout(_: Nothing) -> Result<Came, Failure> {
    let line = "flood ".repeat(170);
    let mut out = std::io::stdout().lock();
    for _ in 0..1024 * 1024 {
        writeln!(out, "{line}")?;
    }
    came("printed")
}

/// Lines through the contract's own interface.
#[action]
pub fn floods_the_log(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    for _ in 0..2_000 {
        ctx.log().info("flood ".repeat(170));
    }
    came("logged")
}

/// A line that does not end.
#[action]
pub fn prints_one_endless_line(_: Nothing) -> Result<Came, Failure> {
    let part = "x".repeat(4096);
    let mut out = std::io::stdout().lock();
    for _ in 0..1024 {
        out.write_all(part.as_bytes())?;
    }
    out.flush()?;
    came("printed")
}

/// Clears the screen, renames the window, turns text around.
#[action]
pub fn prints_escapes(_: Nothing, ctx: &Context) -> Result<Came, Failure> {
    println!("\u{1b}[2J\u{1b}]0;owned\u{7}printed\u{202e}");
    ctx.log().info("\u{1b}[31mlogged\u{1b}[0m\rover");
    came("printed")
}

/// Bytes that are no text.
#[action]
pub fn prints_invalid_utf8(_: Nothing) -> Result<Came, Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(b"before \xff\xfe\xc3 after\n")?;
    out.flush()?;
    came("printed")
}
