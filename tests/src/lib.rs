//! What the tests that cross a door have in common: a portal as a real process, its clients, the packages that it is
//! given, and the checks of the house itself.

#![expect(
    clippy::indexing_slicing,
    reason = "a test that meets an answer of another shape has failed, and says so by its panic"
)]

mod client;
mod guest;
mod load;
mod portal;
mod program;
mod server;

pub mod generator;
pub mod tidy;

pub use client::{Client, Event, Reply};
pub use guest::{Guest, component, guests_dir, plugins_dir};
pub use load::{LoadSettings, Loaded, load};
pub use portal::Portal;
pub use program::{Ended, Program};
pub use server::{Answer, Received, Server};

/// The one environment variable that switches on what needs more than this machine.
const EXTERNAL: &str = "GOLDENPATH_TEST_EXTERNAL";

/// Whether tests that need a network, or minutes, are wanted; prints what is left out where they are not.
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the switch of the tests, not a setting of the product"
)]
pub fn external(what: &str) -> bool {
    let wanted = std::env::var_os(EXTERNAL).is_some();
    if !wanted {
        eprintln!("skipped: {what} (set {EXTERNAL}=1 to run it)");
    }
    wanted
}
