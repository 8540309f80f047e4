//! How long a query may take.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::super::connection::ReadTx;

/// Steps of the database's machine between two looks at the clock: some ten microseconds.
const STEPS: i32 = 1_000;

thread_local! {
    /// When the reading on this thread has to be over. A transaction never leaves its thread.
    static END: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Makes a connection break off what it does when the time of its thread is up.
pub(in crate::store) fn watch(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let is_over = || END.get().is_some_and(|end| Instant::now() >= end);
    connection.progress_handler(STEPS, Some(is_over))
}

impl ReadTx<'_> {
    /// Does some reading that is broken off with [`TooLong`](crate::store::Error::TooLong) when its time is up.
    pub fn within<T>(&self, time: Duration, work: impl FnOnce() -> T) -> T {
        let _unset = Unset(END.replace(Some(Instant::now() + time)));
        work()
    }
}

/// Puts back the end that was set before, also when the work panics.
struct Unset(Option<Instant>);

impl Drop for Unset {
    fn drop(&mut self) {
        END.set(self.0);
    }
}
