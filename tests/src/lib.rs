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
mod proxy;
mod raw;
mod resolver;
mod server;
mod tls;
mod toolchain;

pub mod attack;
pub mod generator;
pub mod tidy;

pub use attack::Evidence;
pub use client::{Client, Event, Reply};
pub use guest::{Guest, component, guests_dir, plugins_dir};
pub use load::{LoadSettings, Loaded, load};
pub use portal::Portal;
pub use program::{Ended, Program};
pub use proxy::Proxy;
pub use raw::RawServer;
pub use resolver::{Asked, Resolver, Said};
pub use server::{Answer, Received, Server};
pub use tls::TlsServer;
pub use toolchain::{Toolchain, machine_has_target};

/// The one environment variable that switches on what needs more than this machine.
const EXTERNAL: &str = "GOLDENPATH_TEST_EXTERNAL";

/// The one that switches on what needs minutes and finds little that the short form does not.
const LONG: &str = "GOLDENPATH_TEST_LONG";

/// The one that writes a reviewed file anew, for a person to look at what changed.
const REWRITE: &str = "GOLDENPATH_TEST_REWRITE";

/// Whether reviewed files are to be written anew rather than held against.
#[expect(
    clippy::disallowed_methods,
    reason = "a switch of the tests, not a setting of the product"
)]
pub fn rewrite() -> bool {
    std::env::var_os(REWRITE).is_some()
}

/// Whether tests that need a network are wanted; prints what is left out where they are not.
pub fn external(what: &str) -> bool {
    is_on(EXTERNAL, what)
}

/// Whether tests that need minutes are wanted; prints what is left out where they are not.
pub fn long(what: &str) -> bool {
    is_on(LONG, what)
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the switches of the tests, not settings of the product"
)]
fn is_on(switch: &str, what: &str) -> bool {
    let wanted = std::env::var_os(switch).is_some();
    if !wanted {
        eprintln!("skipped: {what} (set {switch}=1 to run it)");
    }
    wanted
}
