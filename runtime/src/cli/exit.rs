//! How a command ends: what its exit code says, and what it says to the person.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// What the exit code says. Scripts rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done.
    Done = 0,
    /// Failed, or the run that was started did.
    Failed = 1,
    /// The command line, or what it names on this machine, cannot be used.
    Usage = 2,
    /// The credentials are wrong or do not allow this.
    NotPermitted = 3,
    /// There is no such thing.
    NotFound = 4,
    /// It exists already, changed meanwhile, or is in the wrong state.
    Conflict = 5,
    /// No answer from the server.
    Unreachable = 6,
    /// It did not happen within the time given.
    TimedOut = 7,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit: Exit,
    /// One `snake_case` word for programs.
    pub(super) code: String,
    /// One sentence for people.
    pub(super) message: String,
    /// One line for each thing that is wrong.
    pub(super) details: Vec<String>,
    /// The same as the server sent it.
    pub(super) violations: Vec<Value>,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let code = match exit {
            Exit::Done => "done",
            Exit::Failed => "failed",
            Exit::Usage => "usage",
            Exit::NotPermitted => "not_permitted",
            Exit::NotFound => "not_found",
            Exit::Conflict => "conflict",
            Exit::Unreachable => "unreachable",
            Exit::TimedOut => "timed_out",
        };
        Self {
            exit,
            code: code.to_owned(),
            message: message.into(),
            details: Vec::new(),
            violations: Vec::new(),
        }
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// What was being done, and an error with all its causes.
    pub(super) fn of(doing: impl fmt::Display, error: &dyn std::error::Error) -> Self {
        Self::failed(format!("{doing}: {}", chain(error)))
    }

    pub(super) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details = details;
        self
    }

    pub(super) fn to_json(&self) -> Value {
        let details = if self.violations.is_empty() {
            json!(self.details)
        } else {
            json!(self.violations)
        };
        json!({"ok": false, "error": self.code, "message": self.message, "details": details})
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
