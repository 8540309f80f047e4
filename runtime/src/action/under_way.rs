//! The runs that plugins are at work on, so that people can end them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::model::RunId;
use crate::plugin::{Interrupt, Interrupts};

/// The runs that plugins are at work on. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay {
    ends: Arc<Mutex<HashMap<RunId, End>>>,
}

/// The way to end one run.
#[derive(Debug, Default)]
struct End {
    /// How many attempts have begun and not ended: the end of one must not take the way to the next one's.
    attempts: u32,
    told: watch::Sender<Option<Interrupt>>,
}

/// A run that a plugin is at work on, until this is dropped.
pub(super) struct AtWork {
    under_way: UnderWay,
    run: RunId,
}

impl UnderWay {
    /// A worker begins with a run that was claimed for it.
    pub(super) fn begin(&self, run: &RunId) -> AtWork {
        self.lock().entry(run.clone()).or_default().attempts += 1;
        AtWork {
            under_way: self.clone(),
            run: run.clone(),
        }
    }

    /// Ends a run that is on disk as running: at once, or as soon as its worker begins.
    pub(super) fn interrupt(&self, run: &RunId, why: Interrupt) {
        let mut all = self.lock();
        // The first reason is the one that counts.
        all.entry(run.clone())
            .or_default()
            .told
            .send_if_modified(|told| told.is_none() && told.replace(why).is_none());
    }

    /// A run has ended meanwhile: where nobody is at work on it, nobody will begin.
    pub(super) fn forget(&self, run: &RunId) {
        let mut all = self.lock();
        if all.get(run).is_some_and(|end| end.attempts == 0) {
            all.remove(run);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, End>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AtWork {
    /// Tells when the run has to end.
    pub(super) fn interrupts(&self) -> Interrupts {
        let mut all = self.under_way.lock();
        let end = all.entry(self.run.clone()).or_default();
        end.told.subscribe()
    }

    /// Ends it.
    pub(super) fn interrupt(&self, why: Interrupt) {
        self.under_way.interrupt(&self.run, why);
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if let Some(end) = self.under_way.lock().get_mut(&self.run) {
            end.attempts = end.attempts.saturating_sub(1);
        }
        self.under_way.forget(&self.run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_ended_before_its_worker_begins_as_well_as_after() {
        let (under_way, run) = (UnderWay::default(), RunId::parse("r_1").unwrap());
        under_way.interrupt(&run, Interrupt::Cancelled);
        let work = under_way.begin(&run);
        assert_eq!(*work.interrupts().borrow(), Some(Interrupt::Cancelled));
        work.interrupt(Interrupt::Overdue);
        assert_eq!(*work.interrupts().borrow(), Some(Interrupt::Cancelled));
        drop(work);
        let next = under_way.begin(&run);
        assert_eq!(*next.interrupts().borrow(), None);
        next.interrupt(Interrupt::Overdue);
        assert_eq!(*next.interrupts().borrow(), Some(Interrupt::Overdue));
        drop(next);
        assert!(under_way.lock().is_empty());
    }
}
