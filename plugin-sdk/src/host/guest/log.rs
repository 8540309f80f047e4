//! The run's log, written through the component's imports.

use crate::Context;
use crate::bindings::goldenpath::plugin::log as wit;
use crate::log::Level;

pub(crate) fn write(_: &Context, level: Level, message: &str) {
    let level = match level {
        Level::Trace => wit::Level::Trace,
        Level::Debug => wit::Level::Debug,
        Level::Info => wit::Level::Info,
        Level::Warn => wit::Level::Warn,
        Level::Error => wit::Level::Error,
    };
    wit::write(level, message);
}

pub(crate) fn progress(_: &Context, done: u64, total: Option<u64>, message: &str) {
    wit::progress(done, total, message);
}

pub(crate) fn link(_: &Context, url: &str, title: &str) {
    wit::link(url, title);
}
