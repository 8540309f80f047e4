//! Takes time, or asks for what would tell one run from another.

use std::time::{Duration, SystemTime};

use goldenpath_sdk::prelude::*;

use crate::{Came, Nothing, came};

/// Never gives the processor back.
#[action]
pub fn loops_forever(_: Nothing) -> Result<Came, Failure> {
    let mut count = 0_u64;
    loop {
        count = std::hint::black_box(count.wrapping_add(1));
    }
}

/// Waits without using the processor.
#[action]
pub fn sleeps_too_long(_: Nothing) -> Result<Came, Failure> {
    std::thread::sleep(Duration::from_secs(3_600));
    came("awake")
}

/// Looks at the clock, waits, and looks again.
#[action]
#[expect(
    clippy::disallowed_methods,
    reason = "asking for what was not granted is the point"
)]
pub fn reads_the_clock(_: Nothing) -> Result<Came, Failure> {
    let before = SystemTime::now();
    std::thread::sleep(Duration::from_millis(20));
    came(SystemTime::now() == before)
}

/// Wants bytes that nobody can guess.
#[action]
pub fn reads_randomness(_: Nothing) -> Result<Came, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::new("no_random", error.to_string()))?;
    came(bytes.len())
}
