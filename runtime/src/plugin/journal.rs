//! The journal of a run, as a guest's host sees it: kept by the floor above, and handed in with each call.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::model::{Digest, Timestamp};

/// What a run has done so far: whatever is in it comes back instead of being done again.
pub trait Journal: Send + Sync {
    /// Begins a step, or answers what it came to in an earlier attempt.
    fn begin(&self, step: BeginStep) -> BoxFuture<'_, Result<Begun, StepRefusal>>;

    /// Ends the open step with its result, as JSON.
    fn finish(&self, result: String) -> BoxFuture<'_, Result<(), StepRefusal>>;

    /// Ends the open step as failed. Answers its name.
    fn fail(&self) -> BoxFuture<'_, Result<String, StepRefusal>>;

    /// Nobody can know what the open step has done, or its result could not be kept: where it must not be done twice, it
    /// counts as one that was cut off, whatever the guest says of it.
    fn in_doubt(&self) -> BoxFuture<'_, ()>;

    /// Waits so many milliseconds, over attempts.
    fn sleep(&self, name: String, millis: u64) -> BoxFuture<'_, Result<Slept, StepRefusal>>;

    /// Writes down that something is about to be done that must not be done twice, unless an open step covers it.
    fn effect(&self) -> BoxFuture<'_, Result<(), StepRefusal>>;
}

/// A step that is about to begin.
#[derive(Clone, Debug)]
pub struct BeginStep {
    /// For people, and for telling whether it is the one that was recorded.
    pub name: String,
    /// Hash of what it was begun with.
    pub input: Digest,
    /// Whether it may be done again where it was cut off.
    pub idempotent: bool,
    /// Whether what must not be done twice begins with it, so that its start has to be on disk before.
    pub start_first: bool,
}

/// What is to be done with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Do it; its key.
    Run(String),
    /// It has finished before; its result, as JSON.
    Recorded(String),
}

/// What is to be done with a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slept {
    /// It is over.
    Passed,
    /// The call has to end, and the run goes on then.
    Until(Timestamp),
}

/// Why the journal did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepRefusal {
    /// A step of this name is open.
    Nested(String),
    /// No step is open.
    NoneOpen,
    /// A name or a time is not of the right form.
    Invalid(String),
    /// The run has as many steps as it may have.
    TooMany(String),
    /// A result is too large.
    TooLarge(String),
    /// What was done outside of steps would be done again.
    Unrepeatable(String),
    /// An earlier attempt took another step here.
    Mismatch(String),
    /// The disk refuses, or a newer attempt has the run.
    Unavailable,
}

/// What one guest has of the journal of its run.
#[derive(Clone, Default)]
pub(super) struct Pages {
    journal: Option<Arc<dyn Journal>>,
    once: bool,
}

impl Pages {
    /// `once`: what the guest does must not be done twice.
    pub(super) fn new(journal: Option<Arc<dyn Journal>>, once: bool) -> Self {
        Self { journal, once }
    }

    /// The journal, for steps.
    pub(super) fn journal(&self) -> Result<Arc<dyn Journal>, StepRefusal> {
        self.journal.clone().ok_or(StepRefusal::Unavailable)
    }

    /// Whether a step that may not be done twice has to be on disk before it begins.
    pub(super) fn starts_first(&self, idempotent: bool) -> bool {
        self.once && !idempotent
    }

    /// What the guest has just done outside of itself may have been done, or not.
    pub(super) async fn in_doubt(&self) {
        if let Some(journal) = &self.journal {
            journal.in_doubt().await;
        }
    }

    /// Has to come before everything that the guest does outside of itself; where it fails, that must not be done. Without
    /// a journal there is no run that could do it again.
    pub(super) async fn effect(&self) -> Result<(), StepRefusal> {
        match &self.journal {
            Some(journal) if self.once => journal.effect().await,
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { journal, once } = self;
        f.debug_struct("Pages")
            .field("journal", &journal.is_some())
            .field("once", once)
            .finish()
    }
}
