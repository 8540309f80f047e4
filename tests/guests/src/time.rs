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

/// Asks what time it is, again and again.
#[action]
#[expect(
    clippy::disallowed_methods,
    reason = "asking for what was not granted is the point"
)]
pub fn asks_the_time_forever(_: Nothing) -> Result<Came, Failure> {
    loop {
        std::hint::black_box(SystemTime::now());
    }
}

/// Wants a megabyte that nobody can guess, in one call, as no library asks for it.
#[action]
#[cfg_attr(
    target_arch = "wasm32",
    expect(unsafe_code, reason = "libraries ask for a few bytes at a time")
)]
pub fn reads_much_randomness(_: Nothing) -> Result<Came, Failure> {
    #[cfg(target_arch = "wasm32")]
    let length = {
        #[link(wasm_import_module = "wasi:random/random@0.2.0")]
        unsafe extern "C" {
            #[link_name = "get-random-bytes"]
            fn get_random_bytes(length: u64, answer: *mut [usize; 2]);
        }
        let mut answer = [0_usize; 2];
        // SAFETY: this is the import's form, and there is room for where the bytes are and how many.
        unsafe { get_random_bytes(1 << 20, &raw mut answer) };
        answer[1]
    };
    #[cfg(not(target_arch = "wasm32"))]
    let length = 0;
    came(length)
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
