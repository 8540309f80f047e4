//! Finding what was done to the audit log behind our back.

use rusqlite::{Connection, OptionalExtension as _};

use super::chain::{COLUMNS, Hash, Link, find_head};

/// Problems that are told one by one; a log that was rewritten has as many as rows.
const MAX_TOLD: usize = 20;

/// A row of the audit log and its hash, noted down at some time outside of the portal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditMark {
    /// The row's sequence.
    pub sequence: u64,
    /// The row's hash.
    pub hash: [u8; 32],
}

impl std::fmt::Display for AuditMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}",
            self.sequence,
            data_encoding::HEXLOWER.encode(&self.hash)
        )
    }
}

impl std::str::FromStr for AuditMark {
    type Err = MarkError;

    fn from_str(text: &str) -> Result<Self, MarkError> {
        let (sequence, hash) = text.split_once(':').ok_or(MarkError)?;
        let hash = data_encoding::HEXLOWER_PERMISSIVE
            .decode(hash.as_bytes())
            .map_err(|_| MarkError)?;
        Ok(Self {
            sequence: sequence.parse().map_err(|_| MarkError)?,
            hash: hash.try_into().map_err(|_| MarkError)?,
        })
    }
}

/// Why a text does not name a row of the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is the sequence of a row of the audit log, `:` and the row's hash of 64 hex digits")]
pub struct MarkError;

/// What the chain is like.
#[derive(Clone, Debug, Default)]
pub(in crate::store) struct Verified {
    pub(in crate::store) rows: u64,
    pub(in crate::store) newest: Option<AuditMark>,
    pub(in crate::store) problems: Vec<String>,
}

/// Computes the whole chain anew. Every change, removal, insertion and cut is a problem; `marks` are held against it too.
pub(in crate::store) fn verify(
    connection: &Connection,
    marks: &[AuditMark],
) -> Result<Verified, rusqlite::Error> {
    let mut told = Told::default();
    let base: Option<(i64, Hash)> = connection
        .query_row(
            "SELECT base, base_hash FROM audit_head WHERE id = 1",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let head = find_head(connection)?;
    let (Some((base, base_hash)), Some(head)) = (base, head) else {
        told.add("the note of both ends of the audit log is missing".to_owned());
        return Ok(told.verified);
    };
    let (mut sequence, mut hash) = (base, base_hash);
    let mut missing: Vec<&AuditMark> = marks.iter().collect();
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS}, hash FROM audit ORDER BY sequence"
    ))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let link = Link::read(row)?;
        let stored: Vec<u8> = row.get(13)?;
        if link.sequence != sequence + 1 {
            told.add(match link.sequence - sequence {
                2 => format!("row {} is missing", sequence + 1),
                _ => format!("rows {} to {} are missing", sequence + 1, link.sequence - 1),
            });
            // What follows a gap cannot be computed; it is held against itself from here on.
            hash = stored.as_slice().try_into().unwrap_or(hash);
        } else {
            let computed = link.hash(&hash);
            if stored != computed {
                told.add(format!(
                    "row {} is not what was written, or was put in later",
                    link.sequence
                ));
            }
            // The stored one goes on, so that one changed row is one problem.
            hash = stored.as_slice().try_into().unwrap_or(computed);
        }
        sequence = link.sequence;
        told.verified.rows += 1;
        missing.retain(|mark| {
            let reached = i64::try_from(mark.sequence) == Ok(sequence);
            if reached && mark.hash != hash {
                told.add(format!(
                    "row {sequence} is another one than was noted down: it has the hash {}",
                    data_encoding::HEXLOWER.encode(&hash)
                ));
            }
            !reached
        });
    }
    if sequence < head.sequence {
        told.add(match head.sequence - sequence {
            1 => format!("row {}, the last one, is missing", head.sequence),
            _ => format!(
                "rows {} to {}, the last ones, are missing",
                sequence + 1,
                head.sequence
            ),
        });
    } else if sequence > head.sequence {
        told.add(format!(
            "rows {} to {sequence} were appended from outside",
            head.sequence + 1
        ));
    } else if hash != head.hash {
        told.add(format!(
            "row {sequence}, the last one, has another hash than was noted"
        ));
    }
    for mark in missing {
        told.add(format!(
            "row {}, which was noted down, is missing",
            mark.sequence
        ));
    }
    told.verified.newest = Some(AuditMark {
        sequence: sequence.unsigned_abs(),
        hash,
    });
    Ok(told.finish())
}

#[derive(Default)]
struct Told {
    verified: Verified,
    more: usize,
}

impl Told {
    fn add(&mut self, problem: String) {
        if self.verified.problems.len() < MAX_TOLD {
            self.verified.problems.push(problem);
        } else {
            self.more += 1;
        }
    }

    fn finish(mut self) -> Verified {
        if self.more > 0 {
            self.verified
                .problems
                .push(format!("and {} more problems", self.more));
        }
        self.verified
    }
}
