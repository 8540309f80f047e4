//! Loops before any of its functions is called, in a constructor of the module.

use goldenpath_sdk::prelude::*;

#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "no safe way makes a constructor")]
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn spin() {
        let mut count = 0_u64;
        loop {
            count = std::hint::black_box(count.wrapping_add(1));
        }
    }
    spin
};

/// Nothing to say.
#[input]
pub struct Nothing {}

/// Nothing to answer.
#[output]
pub struct Done {}

/// Is never reached.
#[action]
pub fn loops_at_start(_: Nothing) -> Result<Done, Failure> {
    Ok(Done {})
}

goldenpath_sdk::plugin!(loops_at_start);
