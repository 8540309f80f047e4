//! The HTTP door of a real portal.

mod backup;
mod bad_input;
mod door;
mod golden_path;
mod restart;
