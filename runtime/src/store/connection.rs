//! One writer thread with group commit, several readers, write-ahead logging.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::{Error, OpenError, migrate};
use crate::model::Timestamp;

/// Connections that read; more would only wait for the same two cores.
const READERS: usize = 4;

/// Writes that may wait for the writer thread before a caller has to wait to queue one.
const WRITE_QUEUE: usize = 1_024;

/// Writes that share one commit at most, so that the first of them does not wait for ever.
const GROUP: usize = 256;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 128;

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Survives a power cut.
    Full,
    /// Survives a crash of the process; a power cut may take the last commits.
    Normal,
}

/// A snapshot to read from. Each resource's file adds the queries of its tables.
pub struct ReadTx<'a> {
    pub(super) connection: &'a Connection,
}

/// A transaction to write in; it reads its own writes. Each resource's file adds the statements of its tables.
pub struct WriteTx<'a> {
    read: ReadTx<'a>,
    /// When the transaction began: the time of every row that it writes.
    pub now: Timestamp,
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &ReadTx<'a> {
        &self.read
    }
}

/// One database file. Clones share it; the last one to go closes it.
#[derive(Clone, Debug)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` only while closing.
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    writer: Option<JoinHandle<()>>,
    readers: Arc<Readers>,
}

#[derive(Debug)]
struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Database {
    pub(super) fn open(
        file: &Path,
        formats: &[&str],
        durability: Durability,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database {
            file: file.to_owned(),
            source,
        };
        let mut writer = connect(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
        .map_err(failed)?;
        writer
            .pragma_update(None, "journal_mode", "wal")
            .map_err(failed)?;
        let synchronous = if durability == Durability::Full {
            "full"
        } else {
            "normal"
        };
        writer
            .pragma_update(None, "synchronous", synchronous)
            .map_err(failed)?;
        migrate::migrate(file, &mut writer, formats)?;
        let idle = (0..READERS)
            .map(|_| {
                let reader = connect(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect::<Result<Vec<_>, rusqlite::Error>>()
            .map_err(failed)?;
        let (jobs, queue) = mpsc::channel(WRITE_QUEUE);
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_until_closed(&writer, queue))
            .map_err(|source| OpenError::Folder {
                folder: file.to_owned(),
                source,
            })?;
        let readers = Arc::new(Readers {
            idle: Mutex::new(idle),
            permits: Semaphore::new(READERS),
        });
        Ok(Self {
            shared: Arc::new(Shared {
                jobs: Some(jobs),
                writer: Some(thread),
                readers,
            }),
        })
    }

    pub(super) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let readers = Arc::clone(&self.shared.readers);
        let _permit = self
            .shared
            .readers
            .permits
            .acquire()
            .await
            .map_err(|_| Error::Closed)?;
        let done = tokio::task::spawn_blocking(move || readers.with(work)).await;
        done.unwrap_or_else(|_| Err(Error::Panicked.into()))
    }

    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(TypedJob {
            work: Some(work),
            outcome: None,
            reply,
        });
        let jobs = self.shared.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the writer thread of a database had panicked");
        }
    }
}

impl Readers {
    fn with<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let taken = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let connection = taken.ok_or(Error::Closed)?;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let snapshot = connection.unchecked_transaction().map_err(Error::from)?;
            work(&ReadTx {
                connection: &snapshot,
            })
        }));
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
        outcome.unwrap_or_else(|_| Err(Error::Panicked.into()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that opens databases"
)]
fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// A write whose types the writer thread does not need to know.
trait Job: Send {
    /// Does the work; whether to keep what it wrote.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Tells the caller, once it is known whether the group was committed.
    fn reply(self: Box<Self>, committed: Result<(), &str>);
}

struct TypedJob<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
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

fn write_until_closed(connection: &Connection, mut queue: mpsc::Receiver<Box<dyn Job>>) {
    while let Some(first) = queue.blocking_recv() {
        let mut group = vec![first];
        let committed = write_group(connection, &mut group, &mut queue);
        if committed.is_err() && !connection.is_autocommit() {
            // Nothing to report: the callers already hear that the commit failed.
            drop(connection.execute_batch("ROLLBACK"));
        }
        for job in group {
            job.reply(committed.as_ref().copied().map_err(String::as_str));
        }
    }
}

/// Runs the waiting jobs, each in a savepoint, and commits them together.
fn write_group(
    connection: &Connection,
    group: &mut Vec<Box<dyn Job>>,
    queue: &mut mpsc::Receiver<Box<dyn Job>>,
) -> Result<(), String> {
    let told = |error: rusqlite::Error| error.to_string();
    connection.execute_batch("BEGIN IMMEDIATE").map_err(told)?;
    let tx = WriteTx {
        read: ReadTx { connection },
        now: Timestamp::now(),
    };
    let mut next = 0;
    while let Some(job) = group.get_mut(next) {
        connection.execute_batch("SAVEPOINT job").map_err(told)?;
        if !job.run(&tx) {
            connection.execute_batch("ROLLBACK TO job").map_err(told)?;
        }
        connection.execute_batch("RELEASE job").map_err(told)?;
        next += 1;
        if next == group.len()
            && next < GROUP
            && let Ok(waiting) = queue.try_recv()
        {
            group.push(waiting);
        }
    }
    connection.execute_batch("COMMIT").map_err(told)
}
