//! The HTTP door of a real portal.

mod bad_input;
mod golden_path;
mod restart;
