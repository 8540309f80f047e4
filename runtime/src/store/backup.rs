//! Copying both databases while they are written to.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::audit::chain::find_head;
use super::audit::verify::AuditMark;
use super::connection::connect;
use super::{Error, FILES};

/// Pages that are copied at a time.
const PAGES: i32 = 4_096;

/// How often a copy is tried again where somebody else locks a file; nobody should.
const TRIES: u32 = 50;

/// Both databases as they were at one moment. Writers go on meanwhile; what they write waits in the write-ahead log
/// until this is dropped.
pub struct Snapshot {
    pub(super) main: Connection,
    pub(super) logs: Connection,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

impl Snapshot {
    /// Bytes of each of the two files.
    pub fn sizes(&self) -> Result<[u64; 2], Error> {
        Ok([size(&self.main)?, size(&self.logs)?])
    }

    /// The newest row of the audit log.
    pub fn newest_audit(&self) -> Result<Option<AuditMark>, Error> {
        let tail = find_head(&self.main)?;
        Ok(tail.map(|tail| AuditMark {
            sequence: tail.sequence.unsigned_abs(),
            hash: tail.hash,
        }))
    }

    /// Copies both into a folder, under their own names.
    pub fn copy_into(&self, folder: &Path) -> Result<(), Error> {
        let [main, logs] = FILES;
        copy(&self.main, &folder.join(main))?;
        copy(&self.logs, &folder.join(logs))
    }
}

fn size(connection: &Connection) -> Result<u64, Error> {
    let size: i64 = connection.query_row(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
        [],
        |row| row.get(0),
    )?;
    Ok(size.unsigned_abs())
}

fn copy(from: &Connection, to: &Path) -> Result<(), Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let mut to = connect(to, flags)?;
    // A copy that breaks off is thrown away; it needs neither a journal nor a promise.
    to.execute_batch("PRAGMA journal_mode = off; PRAGMA synchronous = off")?;
    let backup = Backup::new(from, &mut to)?;
    let mut tries = 0;
    loop {
        match backup.step(PAGES)? {
            StepResult::Done => return Ok(()),
            StepResult::More => tries = 0,
            _ if tries < TRIES => {
                tries += 1;
                std::thread::sleep(Duration::from_millis(20));
            }
            _ => return Err(Error::Commit("another process locks the copy".to_owned())),
        }
    }
}
