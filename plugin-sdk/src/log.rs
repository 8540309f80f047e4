//! What the person who started the run sees while it is running.

use crate::{Context, host};

/// How much a line matters. Lines of every level are kept; readers filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every small thing, for the plugin's author.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What the person who asked wants to read.
    Info,
    /// Something is off, the run goes on.
    Warn,
    /// Something failed.
    Error,
}

/// The run's log; from [`Context::log`]. Nothing here can fail.
///
/// Past the log budget (`limits.log`: bytes of all messages together) the host drops lines and says so once.
///
/// ```
/// use goldenpath_sdk::prelude::*;
///
/// let ctx = FakeContext::new();
/// let log = ctx.log();
/// log.info("renders 12 files");
/// log.progress(3, 12, "README.md");
/// log.link("https://git.example.com/orders", "Repository");
/// assert_eq!(ctx.messages(), ["renders 12 files"]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    pub(crate) ctx: &'a Context,
}

impl Log<'_> {
    /// Appends one line; line breaks inside make several.
    pub fn write(&self, level: Level, message: impl AsRef<str>) {
        host::log::write(self.ctx, level, message.as_ref());
    }

    /// A line for the plugin's author.
    pub fn trace(&self, message: impl AsRef<str>) {
        self.write(Level::Trace, message);
    }

    /// A line that helps to find a fault.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.write(Level::Debug, message);
    }

    /// A line for the person who asked.
    pub fn info(&self, message: impl AsRef<str>) {
        self.write(Level::Info, message);
    }

    /// Something is off, the run goes on.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.write(Level::Warn, message);
    }

    /// Something failed.
    pub fn error(&self, message: impl AsRef<str>) {
        self.write(Level::Error, message);
    }

    /// Says how far the run has come: `done` of `total` units, whatever the unit is; `None` while it is unknown.
    pub fn progress(&self, done: u64, total: impl Into<Option<u64>>, message: impl AsRef<str>) {
        host::log::progress(self.ctx, done, total.into(), message.as_ref());
    }

    /// Adds a link to the run. `url` must be absolute, `http` or `https`; the host drops any other with a warning.
    pub fn link(&self, url: impl AsRef<str>, title: impl AsRef<str>) {
        host::log::link(self.ctx, url.as_ref(), title.as_ref());
    }
}
