//! The HTTP door of a real portal.

mod backup;
mod bad_input;
mod crash;
mod derived;
mod door;
mod golden_path;
mod restart;
mod schemathesis;
