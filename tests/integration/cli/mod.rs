//! The command line of a real program.

mod bad_input;
mod plugin;
