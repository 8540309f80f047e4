//! Keeps what a plugin logged, for a test to look at.

use crate::Context;
use crate::log::Level;

/// Something that a plugin said to the person who started the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A line of the log.
    Line {
        /// How much it matters.
        level: Level,
        /// Its text.
        message: String,
    },
    /// How far the run has come.
    Progress {
        /// Units done.
        done: u64,
        /// Units in all, where known.
        total: Option<u64>,
        /// What is being done.
        message: String,
    },
    /// A link of the run.
    Link {
        /// Where it leads.
        url: String,
        /// What it is called.
        title: String,
    },
}

pub(crate) fn write(ctx: &Context, level: Level, message: &str) {
    let mut world = ctx.world.borrow_mut();
    world.log.extend(message.lines().map(|line| LogEvent::Line {
        level,
        message: line.to_owned(),
    }));
}

pub(crate) fn progress(ctx: &Context, done: u64, total: Option<u64>, message: &str) {
    ctx.world.borrow_mut().log.push(LogEvent::Progress {
        done,
        total,
        message: message.to_owned(),
    });
}

pub(crate) fn link(ctx: &Context, url: &str, title: &str) {
    let event = if url.starts_with("http://") || url.starts_with("https://") {
        LogEvent::Link {
            url: url.to_owned(),
            title: title.to_owned(),
        }
    } else {
        LogEvent::Line {
            level: Level::Warn,
            message: format!("dropped a link that is not an absolute http or https URL: `{url}`"),
        }
    };
    ctx.world.borrow_mut().log.push(event);
}
