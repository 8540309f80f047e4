#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

// The macros name this crate by its own name, also where they are used inside it.
extern crate self as goldenpath_sdk;

pub mod actions;
pub mod catalog;
pub mod files;
pub mod http;
pub mod log;
pub mod prelude;
pub mod secrets;
pub mod state;
pub mod steps;

mod action;
mod context;
mod decode;
mod endpoint;
mod failure;
mod host;
mod schema;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
#[cfg(not(target_arch = "wasm32"))]
mod fake;

pub use action::{Action, Description, describe};
pub use context::Context;
pub use failure::{Denial, Failure, Violation};
#[cfg(not(target_arch = "wasm32"))]
pub use fake::{FakeContext, LogEvent, StartedAction};
pub use goldenpath_sdk_macros::{action, input, output, plugin};
pub use schema::{Keywords, Schema};

pub use serde;
pub use serde_json;

#[doc(hidden)]
pub mod __private;
