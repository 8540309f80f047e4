//! The HTTP door of a real portal.

mod bad_input;
mod door;
mod golden_path;
mod restart;
