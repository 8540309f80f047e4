//! The audit log: appended to, never changed.

use rusqlite::params;

use super::Error;
use super::connection::{ReadTx, WriteTx};
use crate::model::{AuditEntry, AuditRow, Origin, RunId, Timestamp};

impl WriteTx<'_> {
    /// Appends one row, in the transaction of the change that it tells of.
    ///
    /// What a plugin did is always told together with its run: a row that hides it is refused, and the change with it.
    pub fn insert_audit(&self, entry: &AuditEntry<'_>) -> Result<(), Error> {
        if entry.actor.origin == Origin::Plugin && entry.actor.run.is_none() {
            return Err(Error::corrupt("actor", "a plugin acts outside of any run"));
        }
        let json = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string);
        self.connection
            .prepare_cached(
                "INSERT INTO audit (at, actor, origin, run_id, verb, resource, identifier, before, after)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                self.now.0,
                entry.actor.name,
                word(&entry.actor.origin)?,
                entry.actor.run.as_ref().map(RunId::as_str),
                word(&entry.verb)?,
                entry.resource,
                entry.identifier,
                json(&entry.before),
                json(&entry.after),
            ])?;
        Ok(())
    }
}

impl ReadTx<'_> {
    /// Rows with a sequence below `before` (absent: from the newest), newest first.
    pub fn list_audit(&self, before: Option<u64>, limit: usize) -> Result<Vec<AuditRow>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT sequence, at, actor, origin, run_id, verb, resource, identifier, before, after
             FROM audit WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2",
        )?;
        let before = before
            .and_then(|sequence| i64::try_from(sequence).ok())
            .unwrap_or(i64::MAX);
        let mut rows =
            statement.query(params![before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let run_id: Option<String> = row.get(4)?;
            let parse = |text: Option<String>| {
                text.map(|text| serde_json::from_str(&text))
                    .transpose()
                    .map_err(|e| Error::corrupt("audit row", e))
            };
            found.push(AuditRow {
                sequence: row.get::<_, i64>(0)?.unsigned_abs(),
                at: Timestamp(row.get(1)?),
                actor: row.get(2)?,
                origin: from_word(row.get(3)?)?,
                run_id: run_id
                    .map(RunId::parse)
                    .transpose()
                    .map_err(|e| Error::corrupt("audit row", e))?,
                action: from_word(row.get(5)?)?,
                resource: row.get(6)?,
                identifier: row.get(7)?,
                before: parse(row.get(8)?)?,
                after: parse(row.get(9)?)?,
            });
        }
        Ok(found)
    }
}

/// The one word by which serde writes a unit variant; the store keeps the same.
pub(super) fn word<T: serde::Serialize>(value: &T) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        Ok(other) => Err(Error::corrupt("word", format!("`{other}` is not one word"))),
        Err(error) => Err(Error::corrupt("word", error)),
    }
}

/// Reads back what [`word`] wrote.
pub(super) fn from_word<T: serde::de::DeserializeOwned>(word: String) -> Result<T, Error> {
    serde_json::from_value(serde_json::Value::String(word)).map_err(|e| Error::corrupt("word", e))
}
