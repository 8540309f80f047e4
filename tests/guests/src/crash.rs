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

/// Asks for all the memory that there is, in one piece.
#[action]
pub fn grows_at_once(_: Nothing) -> Result<Came, Failure> {
    #[cfg(target_arch = "wasm32")]
    let refused = core::arch::wasm32::memory_grow(0, 60_000) == usize::MAX;
    #[cfg(not(target_arch = "wasm32"))]
    let refused = true;
    came(refused)
}

/// Takes new memory, counts what somebody left in it, and leaves something itself.
#[action]
#[cfg_attr(
    target_arch = "wasm32",
    expect(
        unsafe_code,
        reason = "the point is to read memory that nothing was written to"
    )
)]
pub fn leaves_a_pattern(_: Nothing) -> Result<Came, Failure> {
    #[cfg(target_arch = "wasm32")]
    let found = {
        let (page, pages) = (64 << 10, 64);
        let first = core::arch::wasm32::memory_grow(0, pages);
        if first == usize::MAX {
            return Err(Failure::new(
                "no_memory",
                "there is not enough for the search",
            ));
        }
        let begin = std::ptr::with_exposed_provenance_mut::<u8>(first * page);
        // SAFETY: these pages were taken just now, and nobody else knows of them.
        let memory = unsafe { std::slice::from_raw_parts_mut(begin, pages * page) };
        let found = memory.iter().filter(|byte| **byte != 0).count();
        memory.fill(0xa5);
        std::hint::black_box(memory);
        found
    };
    #[cfg(not(target_arch = "wasm32"))]
    let found = 0;
    came(found)
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
