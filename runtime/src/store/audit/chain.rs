//! The chain of the audit log: what a row's hash covers, and where the chain stands.
//!
//! A row's hash is the SHA-256 of the hash of the row before it, then `sequence` and `at` as eight bytes each, most
//! significant first, then `actor`, `origin`, `run_id`, `verb`, `resource`, `blueprint`, `identifier`, `object_id`,
//! `was`, `before` and `after` as they are stored: absent ones are the byte 0; texts the byte 1, their length in eight
//! bytes and their UTF-8; numbers the byte 1 and eight bytes. The first row continues [`genesis`].
//!
//! Whoever can write the file can also write a chain of their own. That is found by a hash that was kept elsewhere:
//! every row of the audit log, every backup's manifest and every report of the doctor name one.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use sha2::{Digest as _, Sha256};

use crate::store::Error;
use crate::store::connection::WriteTx;

pub(crate) type Hash = [u8; 32];

/// What is hashed of a row, in this order; also the columns that [`Link::read`] takes.
pub(in crate::store) const COLUMNS: &str = "sequence, at, actor, origin, run_id, verb, resource, blueprint, identifier, object_id, was, before, after";

/// What the first row of all continues.
pub(in crate::store) fn genesis() -> Hash {
    Sha256::digest(b"goldenpath audit log, form 1").into()
}

/// The newest row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Tail {
    pub(in crate::store) sequence: i64,
    pub(in crate::store) at: i64,
    pub(in crate::store) hash: Hash,
}

/// One row as it is stored, but for its hash.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Link<'a> {
    pub(in crate::store) sequence: i64,
    pub(in crate::store) at: i64,
    pub(in crate::store) actor: &'a str,
    pub(in crate::store) origin: &'a str,
    pub(in crate::store) run_id: Option<&'a str>,
    pub(in crate::store) verb: &'a str,
    pub(in crate::store) resource: &'a str,
    pub(in crate::store) blueprint: Option<&'a str>,
    pub(in crate::store) identifier: &'a str,
    pub(in crate::store) object_id: Option<i64>,
    pub(in crate::store) was: Option<&'a str>,
    pub(in crate::store) before: Option<&'a str>,
    pub(in crate::store) after: Option<&'a str>,
}

impl<'a> Link<'a> {
    /// Reads the columns of [`COLUMNS`], which come first in the row.
    pub(in crate::store) fn read(row: &'a Row<'_>) -> Result<Self, rusqlite::Error> {
        let text = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str_or_null()?);
        let must = |index| Ok::<_, rusqlite::Error>(row.get_ref(index)?.as_str()?);
        Ok(Self {
            sequence: row.get(0)?,
            at: row.get(1)?,
            actor: must(2)?,
            origin: must(3)?,
            run_id: text(4)?,
            verb: must(5)?,
            resource: must(6)?,
            blueprint: text(7)?,
            identifier: must(8)?,
            object_id: row.get(9)?,
            was: text(10)?,
            before: text(11)?,
            after: text(12)?,
        })
    }

    /// The row's hash as the one that follows a row with the hash `previous`.
    pub(in crate::store) fn hash(&self, previous: &Hash) -> Hash {
        let mut hash = Sha256::new();
        hash.update(previous);
        hash.update(self.sequence.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        let text = |hash: &mut Sha256, text: Option<&str>| match text {
            None => hash.update([0]),
            Some(text) => {
                hash.update([1]);
                hash.update((text.len() as u64).to_be_bytes());
                hash.update(text);
            }
        };
        text(&mut hash, Some(self.actor));
        text(&mut hash, Some(self.origin));
        text(&mut hash, self.run_id);
        text(&mut hash, Some(self.verb));
        text(&mut hash, Some(self.resource));
        text(&mut hash, self.blueprint);
        text(&mut hash, Some(self.identifier));
        match self.object_id {
            None => hash.update([0]),
            Some(id) => {
                hash.update([1]);
                hash.update(id.to_be_bytes());
            }
        }
        text(&mut hash, self.was);
        text(&mut hash, self.before);
        text(&mut hash, self.after);
        hash.finalize().into()
    }
}

impl WriteTx<'_> {
    /// Where the chain stands, as far as this transaction sees it.
    pub(super) fn tail(&self) -> Result<Tail, Error> {
        if let Some(tail) = self.tail.get() {
            return Ok(tail);
        }
        // A portal without a place to append to must not go on unwatched.
        find_head(self.connection)?.ok_or_else(|| {
            Error::corrupt(
                "head of the audit log",
                "it is missing; `goldenpath doctor` says more",
            )
        })
    }

    /// Notes the end of the chain, once for all that the transaction appended.
    pub(in crate::store) fn keep_tail(&self, tail: &Tail) -> Result<(), rusqlite::Error> {
        self.connection
            .prepare_cached("UPDATE audit_head SET sequence = ?1, at = ?2, hash = ?3 WHERE id = 1")?
            .execute(params![tail.sequence, tail.at, tail.hash])?;
        Ok(())
    }
}

/// The noted end of the chain.
pub(in crate::store) fn find_head(
    connection: &Connection,
) -> Result<Option<Tail>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT sequence, at, hash FROM audit_head WHERE id = 1")?
        .query_row([], |row| {
            Ok(Tail {
                sequence: row.get(0)?,
                at: row.get(1)?,
                hash: row.get(2)?,
            })
        })
        .optional()
}

/// Chains the rows of a file in which they were not yet, and notes both ends.
pub(in crate::store) fn chain_existing(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut tail = Tail {
        sequence: 0,
        at: i64::MIN,
        hash: genesis(),
    };
    let mut read = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM audit WHERE sequence > ?1 ORDER BY sequence LIMIT 1000"
    ))?;
    let mut write = connection.prepare("UPDATE audit SET hash = ?2 WHERE sequence = ?1")?;
    loop {
        // A table must not be changed under a statement that is reading it.
        let mut hashes = Vec::new();
        let mut rows = read.query([tail.sequence])?;
        while let Some(row) = rows.next()? {
            let link = Link::read(row)?;
            if link.at < tail.at {
                note_leap(connection, link.sequence)?;
            }
            tail = Tail {
                sequence: link.sequence,
                at: link.at,
                hash: link.hash(&tail.hash),
            };
            hashes.push((tail.sequence, tail.hash));
        }
        drop(rows);
        if hashes.is_empty() {
            break;
        }
        for (sequence, hash) in hashes {
            write.execute(params![sequence, hash])?;
        }
    }
    connection.execute(
        "INSERT INTO audit_head (id, base, base_hash, sequence, at, hash) VALUES (1, 0, ?1, ?2, ?3, ?4)",
        params![genesis(), tail.sequence, tail.at, tail.hash],
    )?;
    Ok(())
}

/// Notes that the clock was put back before this row.
pub(super) fn note_leap(connection: &Connection, sequence: i64) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("INSERT INTO audit_leap (sequence) VALUES (?1)")?
        .execute([sequence])?;
    Ok(())
}
