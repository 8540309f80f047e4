//! The writer thread: many waiting writes, one commit.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::Error;
use super::audit::chain::Tail;
use super::connection::{ReadTx, WriteTx};
use super::metrics::CommitMetrics;
use super::value::{PropertyCache, ValueBatch};
use crate::model::Timestamp;

/// Writes that share one commit at most.
const GROUP: usize = 256;

/// How long a group takes up further writes, so that the first of them does not wait for many slow ones.
const GROUP_TIME: Duration = Duration::from_millis(20);

/// A write whose types the writer thread does not need to know.
pub(super) trait Job: Send {
    /// Does the work; whether to keep what it wrote.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Tells the caller, once it is known whether the group was committed.
    fn reply(self: Box<Self>, committed: Result<(), &str>);
}

pub(super) struct TypedJob<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> TypedJob<F, T, E> {
    pub(super) fn new(work: F, reply: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            work: Some(work),
            outcome: None,
            reply,
        }
    }
}

impl<F, T, E> Job for TypedJob<F, T, E>
where
    T: Send,
    E: From<Error> + Send,
    F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(tx)))
            .unwrap_or_else(|_| Err(Error::Panicked.into()));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn reply(self: Box<Self>, committed: Result<(), &str>) {
        let answer = match (self.outcome, committed) {
            // A refusal stands whether or not its neighbours were committed.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (_, Err(message)) => Err(Error::Commit(message.to_owned()).into()),
            (None, Ok(())) => Err(Error::Closed.into()),
        };
        // The caller may have gone away; its write stands all the same.
        drop(self.reply.send(answer));
    }
}

pub(super) fn write_until_closed(
    connection: &Connection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    appended: &watch::Sender<u64>,
    metrics: &CommitMetrics,
) {
    let tail = Cell::new(None);
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        let committed = write_group(connection, &tail, &mut group, &mut queue, metrics);
        if committed.is_err() {
            // What was appended is gone; the next write reads what there is.
            tail.set(None);
        }
        if committed.is_err() && !connection.is_autocommit() {
            // Nothing to report: the callers already hear that the commit failed. If this fails too, the next group
            // cannot begin, is refused, and gets here again.
            drop(connection.execute_batch("ROLLBACK"));
        }
        if let Some(tail) = tail.get() {
            let newest = tail.sequence.unsigned_abs();
            appended.send_if_modified(|seen| std::mem::replace(seen, newest) != newest);
        }
        for job in group {
            let told = committed.as_ref().copied().map_err(String::as_str);
            // A caller that has gone away leaves its value to be dropped here, and dropping may panic.
            if catch_unwind(AssertUnwindSafe(|| job.reply(told))).is_err() {
                tracing::error!("the outcome of a write panicked when it was dropped");
            }
        }
    }
}

/// Runs the waiting jobs and commits them together. Each is in a savepoint but for the first that writes anything: a
/// savepoint has SQLite keep a copy of every page that is changed in it, which a large write that is alone can do
/// without, since undoing it undoes the transaction.
///
/// Where the disk fails, SQLite may undo the whole transaction by itself; the savepoint is then gone, the group is
/// refused here, and nobody is told that a lost write was kept.
fn write_group(
    connection: &Connection,
    tail: &Cell<Option<Tail>>,
    group: &mut Vec<Box<dyn Job>>,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
    metrics: &CommitMetrics,
) -> Result<(), String> {
    let told = |error: rusqlite::Error| error.to_string();
    connection.execute_batch("BEGIN IMMEDIATE").map_err(told)?;
    let began = Instant::now();
    let tx = WriteTx {
        read: ReadTx { connection },
        now: Timestamp::now(),
        tail,
        properties: PropertyCache::default(),
        values: ValueBatch::default(),
    };
    let before = tail.get();
    let mut next = 0;
    let mut anything = false;
    while let Some(job) = group.get_mut(next) {
        let kept = tail.get();
        tx.properties.clear();
        tx.values.clear();
        if anything {
            connection.execute_batch("SAVEPOINT job").map_err(told)?;
            if !job.run(&tx) {
                tail.set(kept);
                connection.execute_batch("ROLLBACK TO job").map_err(told)?;
            }
            connection.execute_batch("RELEASE job").map_err(told)?;
        } else if job.run(&tx) {
            anything = true;
        } else {
            tail.set(kept);
            // Where the disk fails, SQLite may have done so already.
            if !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK").map_err(told)?;
            }
            connection.execute_batch("BEGIN IMMEDIATE").map_err(told)?;
        }
        next += 1;
        if next == group.len()
            && next < GROUP
            && began.elapsed() < GROUP_TIME
            && let Ok(waiting) = queue.try_recv()
        {
            group.push(waiting);
        }
    }
    if let Some(after) = tail.get().filter(|_| tail.get() != before) {
        tx.keep_tail(&after).map_err(told)?;
    }
    let committing = Instant::now();
    connection.execute_batch("COMMIT").map_err(told)?;
    metrics.committed(group.len(), committing.elapsed());
    Ok(())
}
