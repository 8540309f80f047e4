//! The HTTP door of a real portal.

mod backup;
mod bad_input;
mod crash;
mod derived;
pub(crate) mod door;
mod golden_path;
mod restart;
mod schemathesis;
