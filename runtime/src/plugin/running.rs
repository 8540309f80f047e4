//! Which calls are under way, so that they can be ended from outside.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::loaded::Loaded;
use super::package::Package;
use crate::model::{Digest, Timestamp, UnderWay};

/// Why a call is ended from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// All guests are.
    Stopped,
    /// Its version was revoked.
    Revoked,
}

/// Why whoever made a call wants it to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// A person asked for it.
    Cancelled,
    /// The time for it is over.
    Overdue,
}

/// The end of a channel that tells a call to end early.
pub type Interrupts = watch::Receiver<Option<Interrupt>>;

/// The other end of a call's [`Halt`].
pub(super) type Halted = watch::Receiver<Option<Halt>>;

/// The calls under way. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    sweeps: u64,
    closed: bool,
    calls: HashMap<u64, Running>,
}

/// A call, and of what: its package may have left every other place in memory before it ends.
struct Running {
    loaded: Arc<Loaded>,
    installed_at: Timestamp,
    end: watch::Sender<Option<Halt>>,
}

/// A call under way, until this is dropped.
pub(super) struct Begun {
    calls: Calls,
    number: u64,
    /// Tells when the call has to end.
    pub(super) halted: Halted,
}

impl Calls {
    /// How many decisions were taken so far about what may run, or with what. Who read a grant before one, and has not
    /// begun by then, may have read what is not true any more.
    pub(super) fn sweeps(&self) -> u64 {
        self.lock().sweeps
    }

    /// Such a decision is on disk: calls that read their grant before it, and have not begun, read it again.
    pub(super) fn sweep(&self) {
        self.lock().sweeps += 1;
    }

    /// A call begins, of a package that came in at some time.
    pub(super) fn begin(&self, loaded: Arc<Loaded>, installed_at: Timestamp) -> Begun {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        let (end, halted) = watch::channel(inner.closed.then_some(Halt::Stopped));
        let running = Running {
            loaded,
            installed_at,
            end,
        };
        inner.calls.insert(number, running);
        Begun {
            calls: self.clone(),
            number,
            halted,
        }
    }

    /// A package was revoked, which is on disk: calls that begin from now on look again, and those under way end where
    /// that is asked; how many.
    pub(super) fn revoke(&self, digest: Digest, under_way: UnderWay) -> usize {
        let mut inner = self.lock();
        inner.sweeps += 1;
        match under_way {
            UnderWay::Cancel => inner.end(Halt::Revoked, |of| of.loaded.package.digest == digest),
            UnderWay::Finish => 0,
        }
    }

    /// What may run was decided about from outside: calls that begin from now on look again, and those of some packages
    /// end, by when they came in; how many.
    pub(super) fn sweep_ending(&self, which: impl Fn(&Package, Timestamp) -> bool) -> usize {
        let mut inner = self.lock();
        inner.sweeps += 1;
        inner.end(Halt::Revoked, |of| {
            which(&of.loaded.package, of.installed_at)
        })
    }

    /// Ends all calls; how many.
    pub(super) fn stop(&self) -> usize {
        self.lock().end(Halt::Stopped, |_| true)
    }

    /// Ends all calls, and every one that begins later at once.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.stop();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn end(&self, why: Halt, which: impl Fn(&Running) -> bool) -> usize {
        let mut ended = 0;
        for call in self.calls.values().filter(|call| which(call)) {
            call.end.send_replace(Some(why));
            ended += 1;
        }
        ended
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("digest", &self.loaded.package.digest)
            .finish_non_exhaustive()
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.calls.lock().calls.remove(&self.number);
    }
}

/// Waits for the word to end.
pub(super) async fn halt(halted: &mut Halted) -> Halt {
    let told = halted.wait_for(Option::is_some).await;
    // Without anybody who could tell, the host is going down.
    told.ok().and_then(|halt| *halt).unwrap_or(Halt::Stopped)
}

/// Waits for whoever made the call to end it; for ever, where nobody can.
pub(super) async fn interrupted(told: &mut Option<Interrupts>) -> Interrupt {
    if let Some(told) = told {
        let why = told.wait_for(Option::is_some).await.map(|why| *why);
        if let Ok(Some(why)) = why {
            return why;
        }
    }
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::engine::Compiler;
    use crate::plugin::package::tests::{TOML, build, plugin};

    const AT: Timestamp = Timestamp(1_000);

    async fn loaded(version: &str) -> Arc<Loaded> {
        let bytes = build(&plugin(&[]), &TOML.replace("1.0.0", version)).unwrap();
        let (package, bytes) = Package::read_blocking(bytes).await.unwrap();
        let compiler = Compiler::throwaway().unwrap();
        let component = compiler.load(bytes.into(), package.digest).await.unwrap();
        Arc::new(Loaded::new(package, component).unwrap())
    }

    #[tokio::test]
    async fn only_the_calls_of_what_is_revoked_are_ended() {
        let calls = Calls::default();
        let (one, two) = (loaded("1.0.0").await, loaded("2.0.0").await);
        let (mut first, second) = (calls.begin(Arc::clone(&one), AT), calls.begin(two, AT));
        let one = one.package.digest;
        assert_eq!(calls.revoke(one, UnderWay::Finish), 0);
        assert_eq!(*first.halted.borrow(), None);
        assert_eq!(calls.revoke(one, UnderWay::Cancel), 1);
        assert_eq!(halt(&mut first.halted).await, Halt::Revoked);
        assert_eq!(*second.halted.borrow(), None);
        drop(first);
        assert_eq!(
            calls.revoke(one, UnderWay::Cancel),
            0,
            "it is not under way any more"
        );
    }

    #[tokio::test]
    async fn who_read_a_grant_before_a_decision_finds_out() {
        let calls = Calls::default();
        for under_way in [UnderWay::Finish, UnderWay::Cancel] {
            let read = calls.sweeps();
            calls.revoke(Digest::of(b"one"), under_way);
            assert_ne!(calls.sweeps(), read);
        }
        let read = calls.sweeps();
        calls.sweep();
        assert_ne!(calls.sweeps(), read);
    }

    #[tokio::test]
    async fn a_stop_ends_what_is_under_way_and_nothing_later_until_the_host_closes() {
        let calls = Calls::default();
        let one = loaded("1.0.0").await;
        let mut under_way = calls.begin(Arc::clone(&one), AT);
        assert_eq!(calls.stop(), 1);
        assert_eq!(halt(&mut under_way.halted).await, Halt::Stopped);
        let later = calls.begin(Arc::clone(&one), AT);
        assert_eq!(*later.halted.borrow(), None);
        calls.close();
        let mut late = calls.begin(one, AT);
        assert_eq!(halt(&mut late.halted).await, Halt::Stopped);
    }
}
