use std::time::Duration;

use goldenpath_sdk::prelude::*;

#[input]
struct Input {
    wait: Duration,
    pair: (u8, u8),
}

fn main() {}
