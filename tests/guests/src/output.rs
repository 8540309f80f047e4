//! Answers what no reader can take.

use goldenpath_sdk::prelude::*;
use goldenpath_sdk::serde_json::{Value, json};

use crate::{Came, Nothing, came};

/// A megabyte.
#[action]
pub fn answers_huge(_: Nothing) -> Result<Came, Failure> {
    came("x".repeat(1024 * 1024))
}

/// A list in a list in a list.
#[action]
pub fn answers_deep(_: Nothing) -> Result<Came, Failure> {
    let mut deep = Value::Null;
    for _ in 0..120 {
        deep = json!([deep]);
    }
    came(deep)
}
