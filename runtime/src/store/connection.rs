//! One database file: a writer thread, several readers, write-ahead logging.

use std::cell::Cell;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::audit::chain::Tail;
use super::lock::FolderLock;
use super::metrics::CommitMetrics;
use super::value::{PropertyCache, ValueBatch};
use super::writer::{self, Job, TypedJob};
use super::{Error, OpenError, migrate, query};
use crate::model::Timestamp;

/// Connections that read; more would only wait for the same two cores.
const READERS: usize = 4;

/// Writes that may wait for the writer thread before a caller has to wait to queue one.
const WRITE_QUEUE: usize = 1_024;

/// Prepared statements kept per connection.
const STATEMENTS: usize = 128;

/// Pages that the writer keeps in memory, in KiB: what one large write touches, so that none of them is written to the
/// log, read again and written once more before it is committed.
const WRITER_CACHE: i32 = 64 << 10;

/// Pages that each reader keeps in memory, in KiB: the upper levels of every index.
const READER_CACHE: i32 = 4 << 10;

/// Pages in the write-ahead log after which they are moved into the database. A page that is written again and again
/// is moved once.
const CHECKPOINT_PAGES: i32 = 8_192;

/// How long a glance may take on the thread of whoever asks: a look at a few rows takes some ten microseconds.
const GLANCE: Duration = Duration::from_millis(2);

/// Bytes that the log's file keeps after a write that made it larger.
const LOG_BYTES: i32 = 64 << 20;

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
    pub(super) read: ReadTx<'a>,
    /// When the transaction began: the time of every row that it writes.
    pub now: Timestamp,
    /// The newest row of the audit log, where that is known.
    pub(super) tail: &'a Cell<Option<Tail>>,
    pub(super) properties: PropertyCache,
    pub(super) values: ValueBatch,
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
    readers: Readers,
    /// Told of every commit that appended to the audit log.
    appended: watch::Receiver<u64>,
    /// Declared last: released only after the connections are closed. The writer thread holds it too.
    _lock: FolderLock,
}

#[derive(Debug)]
struct Readers {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Database {
    pub(super) fn open(
        file: &Path,
        formats: &[&str],
        durability: Durability,
        lock: &FolderLock,
        metrics: CommitMetrics,
    ) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Database {
            file: file.to_owned(),
            source,
        };
        let mut connection = connect(
            file,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        )
        .map_err(failed)?;
        // Before anything is written: a file of a newer version stays as it is.
        migrate::check(file, &connection, formats)?;
        connection
            .pragma_update(None, "journal_mode", "wal")
            .map_err(failed)?;
        let synchronous = if durability == Durability::Full {
            "full"
        } else {
            "normal"
        };
        for (name, value) in [
            ("cache_size", -WRITER_CACHE),
            ("wal_autocheckpoint", CHECKPOINT_PAGES),
            ("journal_size_limit", LOG_BYTES),
            // Copies of what a savepoint changes: in memory, not in a file.
            ("temp_store", 2),
        ] {
            connection
                .pragma_update(None, name, value)
                .map_err(failed)?;
        }
        connection
            .pragma_update(None, "synchronous", synchronous)
            .map_err(failed)?;
        migrate::migrate(file, &mut connection, formats)?;
        let (jobs, queue) = mpsc::channel(WRITE_QUEUE);
        let (tell, appended) = watch::channel(0);
        let held = lock.clone();
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                writer::write_until_closed(&connection, queue, &tell, &metrics);
                drop(connection);
                drop(held);
            })
            .map_err(|source| OpenError::Folder {
                folder: file.to_owned(),
                source,
            })?;
        let readers = Readers {
            file: file.to_owned(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(READERS)),
        };
        let shared = Shared {
            jobs: Some(jobs),
            writer: Some(writer),
            readers,
            appended,
            _lock: lock.clone(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    pub(super) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        let permit = Arc::clone(&shared.readers.permits)
            .acquire_owned()
            .await
            .map_err(|_| Error::Closed)?;
        let done = tokio::task::spawn_blocking(move || {
            let outcome = shared.readers.with(work);
            // Not before the work is done, even if the caller has gone away: permits count connections.
            drop(permit);
            outcome
        });
        // The work's own panics are caught; what is left is a runtime that shuts down.
        done.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }

    pub(super) async fn glance<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        // To hand the work to another thread and be woken again takes longer than the look itself.
        if let Ok(permit) = self.shared.readers.permits.try_acquire()
            && let Some(connection) = self.shared.readers.take_idle()
        {
            let started = Instant::now();
            let outcome = self
                .shared
                .readers
                .on(connection, |tx| tx.within(GLANCE, || work(tx)));
            drop(permit);
            if outcome.is_ok() || started.elapsed() < GLANCE {
                return outcome;
            }
        }
        self.read(move |tx| work(tx)).await
    }

    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(TypedJob::new(work, reply));
        let jobs = self.shared.jobs.as_ref().ok_or(Error::Closed)?;
        jobs.send(job).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or_else(|_| Err(Error::Closed.into()))
    }
}

impl Database {
    /// A connection of its own that sees the database as it is now for as long as it lives.
    pub(super) fn pin(&self) -> Result<Connection, Error> {
        let pinned = self.shared.readers.connect()?;
        // A snapshot begins with the first look.
        pinned.execute_batch("BEGIN; SELECT 1 FROM sqlite_schema")?;
        Ok(pinned)
    }

    /// The newest sequence of the audit log as of the last commit; 0 as long as nothing was appended.
    pub(super) fn appended(&self) -> watch::Receiver<u64> {
        self.shared.appended.clone()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.jobs = None;
        let Some(writer) = self.writer.take() else {
            return;
        };
        // A write may own the last handle. The writer thread cannot wait for itself; it ends once its queue is empty.
        if writer.thread().id() == std::thread::current().id() {
            return;
        }
        // This may stand on an async thread. It does not wait for one: the writer needs nobody to finish its queue.
        if writer.join().is_err() {
            tracing::error!("the writer thread of a database had panicked");
        }
    }
}

impl Readers {
    fn with<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.connect().map_err(Error::from)?,
        };
        self.on(connection, work)
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does the work on a snapshot of one connection, which is idle afterwards.
    fn on<T, E: From<Error>>(
        &self,
        connection: Connection,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let snapshot = Transaction::begin(&connection).map_err(Error::from)?;
            work(&ReadTx {
                connection: snapshot.0,
            })
        }));
        // One that did not come out of its transaction would show an old snapshot for ever; the next reader makes a
        // new one.
        if connection.is_autocommit() {
            self.idle().push(connection);
        }
        outcome.unwrap_or_else(|_| Err(Error::Panicked.into()))
    }

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let reader = connect(&self.file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        reader.pragma_update(None, "query_only", true)?;
        reader.pragma_update(None, "cache_size", -READER_CACHE)?;
        Ok(reader)
    }
}

/// A read transaction, which ends when this is dropped. Its two statements are prepared once.
struct Transaction<'a>(&'a Connection);

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection) -> Result<Self, rusqlite::Error> {
        connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(Self(connection))
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // Whoever takes the connection back looks whether it has come out of it.
        let _ = self
            .0
            .prepare_cached("COMMIT")
            .and_then(|mut statement| statement.execute([]));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that opens databases"
)]
pub(super) fn connect(file: &Path, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let mut connection =
        Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    query::watch(&mut connection)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without it a statement is planned for the value of its `LIMIT`, and prepared anew whenever that is bound again.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}
