//! Ends without an answer.

use goldenpath_sdk::prelude::*;

use crate::{Came, Nothing, came};

/// Takes a little memory, again and again.
#[action]
pub fn eats_memory(_: Nothing) -> Result<Came, Failure> {
    let mut eaten = Vec::new();
    loop {
        eaten.push(std::hint::black_box(vec![1_u8; 32 * 1024]));
    }
}

/// Gives up.
#[action]
pub fn panics(_: Nothing) -> Result<Came, Failure> {
    panic!("the guest's last words")
}

/// Executes an instruction that ends it.
#[action]
pub fn traps(_: Nothing) -> Result<Came, Failure> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    came("only a component can trap")
}

/// Calls itself until the stack ends.
#[action]
pub fn recurses_forever(_: Nothing) -> Result<Came, Failure> {
    #[expect(unconditional_recursion, reason = "the point of this guest")]
    fn deeper(depth: u64) -> u64 {
        let here = std::hint::black_box([depth; 64]);
        deeper(depth + 1) + here.iter().sum::<u64>()
    }
    came(deeper(0))
}

/// Leaves as a program does, saying that all went well.
#[action]
pub fn exits(_: Nothing) -> Result<Came, Failure> {
    std::process::exit(0)
}
